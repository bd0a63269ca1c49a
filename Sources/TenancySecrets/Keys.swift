public import Tenancy
internal import TenancyCrypto

/// A key that wraps data keys and seals nothing else. It lives outside of the store. Immutable; wiped when
/// the last reference to it goes; never printed.
public final class MasterKey: Sendable, CustomStringConvertible, CustomReflectable {
  /// Of its bytes, and telling nothing of them: the first 16 of
  /// SHA-256("tenancy.master-key.id" ‖ key).
  public let id: KeyID
  let key: KeyBytes

  /// A new random one.
  public convenience init() throws(SecretError) { self.init(try asSecretError(KeyBytes.random)) }

  /// Reads a key as files, variables and credentials hold it: 64 hexadecimal digits, a line's end after
  /// them or not, or 32 bytes as they are. The caller wipes `text`.
  /// - Throws: `.invalidKey` for anything else, and for what can't be random: a passphrase is no key.
  public convenience init(parsing text: UnsafeRawBufferPointer) throws(SecretError) {
    let isRaw = text.count == KeyBytes.count
    let key = try KeyBytes { (bytes) throws(SecretError) in
      if isRaw {
        bytes.copyMemory(from: text)
      } else {
        try Self.decodeHex(text, into: bytes)
      }
    }
    let isPlausible = key.withBytes { bytes in
      Set(bytes).count > 4 && !(isRaw && bytes.allSatisfy { (0x20...0x7E).contains($0) })
    }
    guard isPlausible else { throw Self.notAKey }
    self.init(key)
  }

  init(_ key: KeyBytes) {
    self.key = key
    let label = Array("tenancy.master-key.id".utf8)
    var input = label + [UInt8](repeating: 0, count: KeyBytes.count)
    defer { input.wipe() }
    key.withBytes { bytes in
      for (index, byte) in bytes.enumerated() { input[label.count + index] = byte }
    }
    id = KeyID(bytes: SHA256Digest.bytes(input))
  }

  /// The text that `init(parsing:)` reads, with a line's end: for a file that is made.
  public func hexText() -> String {
    key.withBytes { bytes in
      let digits = Array("0123456789abcdef".utf8)
      let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
      return String(decoding: text, as: UTF8.self) + "\n"
    }
  }

  public var description: String { "[master key \(id)]" }
  public var customMirror: Mirror { Mirror(self, children: []) }

  private static let notAKey = SecretError(
    .invalidKey,
    "a master key is 64 hexadecimal digits or 32 bytes, and random: make one with: "
      + "openssl rand -hex 32")

  private static func decodeHex(
    _ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer
  ) throws(SecretError) {
    var digits = text[...]
    for end in [UInt8(ascii: "\n"), UInt8(ascii: "\r")] where digits.last == end {
      digits = digits.dropLast()
    }
    guard digits.count == 2 * bytes.count else { throw notAKey }
    for (index, digit) in digits.enumerated() {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = digit - UInt8(ascii: "A") + 10
      default: throw notAKey
      }
      bytes[index / 2] = bytes[index / 2] << 4 | value
    }
  }
}

/// A key that secrets are sealed under. Immutable; wiped when the last reference to it goes; never printed.
final class DataKey: Sendable, CustomStringConvertible, CustomReflectable {
  let id: KeyID
  let key: KeyBytes

  init(id: KeyID, key: KeyBytes) {
    self.id = id
    self.key = key
  }

  var description: String { "[data key \(id)]" }
  var customMirror: Mirror { Mirror(self, children: []) }
}

extension KeyID {
  /// Of the first 16 bytes.
  init(bytes: [UInt8]) {
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    self.init(high: number(bytes.prefix(8)), low: number(bytes.dropFirst(8).prefix(8)))
  }
}
