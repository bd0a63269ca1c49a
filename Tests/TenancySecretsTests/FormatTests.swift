import Tenancy
import TenancyCrypto
import Testing

@testable import TenancySecrets

/// The formats, against another implementation and against all that isn't in order.
struct FormatTests {
  private let nonce = Sample.hex("0102030405060708090a0b0c")

  /// Made by AESGCM of Python's `cryptography`, from the description in Formats.swift alone.
  @Test(arguments: [
    ("", "010102030405060708090a0b0cfbf757007fd13843699653170482308e"),
    ("s3cret", "010102030405060708090a0b0c52085229106d4c45a7b96b3ea09b250d379f3dcf440d"),
    (
      String(repeating: "pässwörd ", count: 20),
      "010102030405060708090a0b0c51f89528066e06daa657053fc6f8b4c4c4940fdefcd61910b7c8bf4bc3c22e"
        + "c8efb5a91e7c8e7a621fdb05124aafefb1df944ca4619d3e677a0bb1e288862a666ec52db7457b2180b94096"
        + "15adc5b30896dddebb49b2c358f305c3482ace6eae1636b82657d9b3b17319094c49beea79cde2190bc09d2d"
        + "233b73528bbf757cd0b1b1ef81afd3739588c8e56386d221bb40a06cdbbb8d715c9f9c410fe86838263ccc3f"
        + "100073b083c55c8cc7a79cc701552e1da532276fe34cbe1df48fc07d2913d812034072c5627f9205f9cfebfe"
        + "2e5d443b7ed79748e402f15dcf0a03ce07169b05c0457551dcc3ffe8b3"
    ),
  ])
  func sealedSecretsAreWhatOthersMake(_ secret: String, _ expected: String) throws {
    let key = try Sample.dataKey()
    let sealed = try Formats.seal(
      Array(secret.utf8), at: Sample.place(), version: 7, under: key, nonce: nonce)
    #expect(sealed.sealed.bytes == Sample.hex(expected))
    #expect(sealed.reference == SecretReference(version: 7, key: key.id))
    let theirs = StoredSecret(
      reference: sealed.reference, sealed: SealedSecret(bytes: Sample.hex(expected)))
    #expect(
      try Formats.open(theirs, at: Sample.place(), under: key).reveal() == Array(secret.utf8))
  }

  /// Likewise.
  @Test func wrappedKeysAreWhatOthersMake() throws {
    let (master, key) = (try Sample.master(), try Sample.dataKey())
    #expect(master.id == KeyID(parsing: "a0a9ff05-7b35-67c1-7f12-b5cea91030fb"))
    let expected = Sample.hex(
      "010102030405060708090a0b0c7d6231bd3cb5b471dcb9d6fc263aa69a6ca8ff85cbcb29a938dec5f4318eae6a"
        + "9ac8c6d1f120dcc6ddd4df59424ccf64")
    #expect(try Formats.wrap(key, under: master, nonce: nonce) == expected)
    let unwrapped = try Formats.unwrap(expected, id: key.id, under: master)
    #expect(unwrapped.key.withBytes(Array.init) == key.key.withBytes(Array.init))
  }

  @Test func eachSealingHasANonceOfItsOwn() throws {
    let key = try Sample.dataKey()
    let nonces = try (0..<1000).map { _ in
      try Formats.seal([1], at: Sample.place(), version: 1, under: key).sealed.bytes[1..<13]
    }
    #expect(Set(nonces).count == nonces.count)
  }

  @Test func everyByteOfASealedSecretCounts() throws {
    let key = try Sample.dataKey()
    let sealed = try Formats.seal(Array("s3cret".utf8), at: Sample.place(), version: 1, under: key)
    let bytes = sealed.sealed.bytes
    var others: [[UInt8]] = [bytes + [0], [], [1]]
    for index in bytes.indices {
      var flipped = bytes
      flipped[index] ^= 1 << UInt8(index % 8)
      others.append(flipped)
      others.append(Array(bytes[..<index]))
      others.append(Array(bytes[..<index] + bytes[(index + 1)...]))
    }
    for other in others {
      let changed = StoredSecret(reference: sealed.reference, sealed: SealedSecret(bytes: other))
      let error = #expect(throws: SecretError.self) {
        try Formats.open(changed, at: Sample.place(), under: key)
      }
      #expect(error?.code == .damaged)
    }
  }

  @Test func everyByteOfAWrappedKeyCounts() throws {
    let (master, key) = (try Sample.master(), try Sample.dataKey())
    let wrapped = try Formats.wrap(key, under: master)
    for index in wrapped.indices {
      var flipped = wrapped
      flipped[index] ^= 1 << UInt8(index % 8)
      for other in [flipped, Array(wrapped[..<index]), wrapped + [0]] {
        let error = #expect(throws: SecretError.self) {
          try Formats.unwrap(other, id: key.id, under: master)
        }
        #expect(error?.code == .damaged)
      }
    }
  }

  @Test func aSecretOpensAtItsPlaceOnly() throws {
    let key = try Sample.dataKey()
    let other = DataKey(id: KeyID(high: 1, low: 2), key: key.key)
    let strange = DataKey(id: key.id, key: try .random())
    let sealed = try Formats.seal([7], at: Sample.place(), version: 3, under: key)
    func opens(
      _ place: SecretPlace = Sample.place(), version: UInt64 = 3, id: KeyID? = nil,
      under key: DataKey
    ) -> Bool {
      let reference = SecretReference(version: version, key: id ?? sealed.reference.key)
      let moved = StoredSecret(reference: reference, sealed: sealed.sealed)
      return (try? Formats.open(moved, at: place, under: key).reveal()) == [7]
    }
    #expect(opens(under: key))
    #expect(!opens(Sample.place(1), under: key))
    #expect(!opens(version: 2, under: key))
    #expect(!opens(version: 4, under: key))
    #expect(!opens(id: other.id, under: other))
    #expect(!opens(under: strange))
  }

  /// The domain has one purpose yet: that others' data differ is seen in what is authenticated.
  @Test func thePurposeIsAuthenticated() throws {
    let reference = SecretReference(version: 1, key: KeyID(high: 1, low: 2))
    let data = Formats.associatedData(of: reference, at: Sample.place())
    #expect(data.count == 14 + 1 + 16 + 16 + 8 + "database_password".utf8.count)
    #expect(data.suffix(17).elementsEqual("database_password".utf8))
  }

  @Test func aDataKeyIsBoundToItsIDAndItsMasterKey() throws {
    let (master, key) = (try Sample.master(), try Sample.dataKey())
    let wrapped = try Formats.wrap(key, under: master)
    #expect(throws: SecretError.self) {
      try Formats.unwrap(wrapped, id: KeyID(high: 1, low: 2), under: master)
    }
    #expect(throws: SecretError.self) {
      try Formats.unwrap(wrapped, id: key.id, under: Sample.master(1))
    }
  }

  @Test func whatIsTooLongIsRefused() throws {
    let bytes = [UInt8](repeating: 0, count: AES256GCM.maximumPlaintextBytes + 1)
    let key = try Sample.dataKey()
    _ = try Formats.seal(bytes.dropLast(), at: Sample.place(), version: 1, under: key)
    #expect(throws: SecretError.self) {
      try Formats.seal(bytes, at: Sample.place(), version: 1, under: key)
    }
  }
}
