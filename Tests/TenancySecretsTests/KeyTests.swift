import Tenancy
import Testing

@testable import TenancySecrets

struct KeyTests {
  private static let digits = "000204060810121416182022242628303234363840424446485052545658606A"

  @Test(arguments: [digits, digits.lowercased(), digits + "\n", digits + "\r\n"])
  func hexadecimalKeys(_ text: String) throws {
    let key = try Sample.parse(Array(text.utf8))
    #expect(key.key.withBytes(Array.init) == Sample.hex(Self.digits.lowercased()))
  }

  @Test func keysAsTheyAre() throws {
    let bytes = (0..<32).map { UInt8($0 * 8) }
    #expect(try Sample.parse(bytes).key.withBytes(Array.init) == bytes)
  }

  @Test(arguments: [
    "", "\n", String(digits.dropLast()), digits + "0", digits + " ", digits + "\n\n", " " + digits,
    "g" + digits.dropFirst(), "correct horse battery staple", String(repeating: "x", count: 32),
    // 32 characters: a text, or a key of half the length.
    "00112233445566778899aabbccddeeff", "a passphrase with thirty two char",
    String(repeating: "0", count: 64), String(repeating: "0f", count: 32),
  ])
  func whatIsNoKeyIsRefused(_ text: String) {
    let error = #expect(throws: SecretError.self) { try Sample.parse(Array(text.utf8)) }
    #expect(error?.code == .invalidKey)
    if text.count > 1 { #expect(error?.description.contains(text) == false) }
  }

  @Test func aMadeKeyIsReadBack() throws {
    let key = try MasterKey()
    let again = try Sample.parse(Array(key.hexText().utf8))
    #expect(again.id == key.id)
    #expect(try MasterKey().id != key.id)
  }

  @Test func keysAreNotPrinted() throws {
    let (master, key) = (try Sample.master(), try Sample.dataKey())
    let keyring = Keyring(master: master)
    for (value, text) in [
      (master as Any, "[master key \(master.id)]"), (key, "[data key \(key.id)]"),
      (ClearSecret("s3cret"), "[secret]"),
    ] {
      #expect("\(value)" == text)
      #expect(String(reflecting: value) == text)
      var dumped = ""
      dump(value, to: &dumped)
      #expect(!dumped.contains("s3cret") && !dumped.contains("115") && dumped.count < 200)
    }
    var dumped = ""
    dump(keyring, to: &dumped)
    #expect(!dumped.contains("62"))
  }

  @Test func aKeyringSealsUnderTheActiveKeyAndOpensUnderAll() throws {
    let (keyring, first) = try Sample.keyring(try Sample.master())
    let old = try keyring.seal(ClearSecret("old"), for: Sample.place(), version: 1)
    let second = try keyring.makeDataKey(at: Sample.now)
    #expect(keyring.activeKey == first.id)
    var retired = first
    retired.state = .retired
    try keyring.install([retired, second])
    #expect(keyring.activeKey == second.id)
    let new = try keyring.seal(ClearSecret("new"), for: Sample.place(), version: 2)
    #expect(old.reference == SecretReference(version: 1, key: first.id))
    #expect(new.reference == SecretReference(version: 2, key: second.id))
    for (secret, text) in [(old, "old"), (new, "new")] {
      #expect(try keyring.open(secret, for: Sample.place()).reveal() == Array(text.utf8))
    }
  }

  @Test func withoutAnActiveKeyNothingIsSealed() throws {
    let keyring = Keyring(master: try Sample.master())
    let error = #expect(throws: SecretError.self) {
      try keyring.seal(ClearSecret("x"), for: Sample.place(), version: 1)
    }
    #expect(error?.code == .unknownKey)
    let (other, key) = try Sample.keyring(try Sample.master())
    let sealed = try other.seal(ClearSecret("x"), for: Sample.place(), version: 1)
    #expect(throws: SecretError.self) { try keyring.open(sealed, for: Sample.place()) }
    var retired = key
    retired.state = .retired
    try keyring.install([retired])
    #expect(keyring.activeKey == nil)
    #expect(try keyring.open(sealed, for: Sample.place()).reveal() == Array("x".utf8))
  }

  @Test func aMasterKeyThatIsNotGivenIsNamed() throws {
    let (_, key) = try Sample.keyring(try Sample.master(1))
    let keyring = Keyring(master: try Sample.master())
    let error = #expect(throws: SecretError.self) { try keyring.install([key]) }
    #expect(error?.code == .unknownKey)
    #expect(error?.description.contains("\(key.masterKey)") == true)
    #expect(keyring.activeKey == nil)
  }

  @Test func aMasterKeyIsReplaced() throws {
    let (old, new) = (try Sample.master(1), try Sample.master())
    let (before, key) = try Sample.keyring(old)
    let sealed = try before.seal(ClearSecret("x"), for: Sample.place(), version: 1)
    #expect(try before.rewrap(key) == nil)

    // While it runs, the former one is not needed.
    before.replaceMaster(by: new)
    let rewrapped = try #require(try before.rewrap(key))
    #expect(rewrapped.masterKey == new.id && rewrapped.id == key.id && rewrapped.state == key.state)
    let after = Keyring(master: new)
    try after.install([rewrapped])
    #expect(try after.open(sealed, for: Sample.place()).reveal() == Array("x".utf8))

    // At a start it is, until all keys are rewrapped.
    let start = Keyring(master: new, previous: [old])
    try start.install([key])
    #expect(try start.open(sealed, for: Sample.place()).reveal() == Array("x".utf8))
    #expect(try start.rewrap(key)?.masterKey == new.id)
  }
}
