internal import CTenancyOpenSSL
public import Tenancy

/// Owns the 32 bytes of a key, outside of Swift's arrays so that there is one copy, which is wiped at the
/// end.
final class KeyBytes: Sendable {
  // Written during the initializer only, and freed by deinit.
  private nonisolated(unsafe) let storage: UnsafeMutableRawBufferPointer

  /// - Parameter fill: writes all bytes, or throws.
  init(_ fill: (UnsafeMutableRawBufferPointer) throws(SecretError) -> Void) throws(SecretError) {
    storage = .allocate(byteCount: AES256GCM.keyBytes, alignment: 16)
    storage.initializeMemory(as: UInt8.self, repeating: 0)
    // A throw from here on runs deinit: all properties are set.
    try fill(storage)
  }

  /// A random key, from the generator for what stays private.
  static func random() throws(SecretError) -> KeyBytes {
    try KeyBytes { (bytes) throws(SecretError) in
      let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
      guard RAND_priv_bytes(start, Int32(clamping: bytes.count)) == 1 else {
        throw .drainingQueue("there are no random numbers")
      }
    }
  }

  deinit {
    OPENSSL_cleanse(storage.baseAddress, storage.count)
    storage.deallocate()
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    body(UnsafeRawBufferPointer(storage))
  }
}

/// A key that wraps data keys and seals nothing else. It lives outside of the store. Immutable; wiped when
/// the last reference to it goes; never printed.
public final class MasterKey: Sendable, CustomStringConvertible, CustomReflectable {
  /// Of its bytes, and telling nothing of them: the first 16 of
  /// SHA-256("tenancy.master-key.id" ‖ key).
  public let id: KeyID
  let key: KeyBytes

  /// A new random one.
  public convenience init() throws(SecretError) { try self.init(KeyBytes.random()) }

  /// Reads a key as files, variables and credentials hold it: 64 hexadecimal digits, a line's end after
  /// them or not, or 32 bytes as they are. The caller wipes `text`.
  /// - Throws: `.invalidKey` for anything else, and for what can't be random: a passphrase is no key.
  public convenience init(parsing text: UnsafeRawBufferPointer) throws(SecretError) {
    let isRaw = text.count == AES256GCM.keyBytes
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
    try self.init(key)
  }

  init(_ key: KeyBytes) throws(SecretError) {
    self.key = key
    let label = Array("tenancy.master-key.id".utf8)
    var input = label + [UInt8](repeating: 0, count: AES256GCM.keyBytes)
    defer { OPENSSL_cleanse(&input, input.count) }
    key.withBytes { bytes in
      for (index, byte) in bytes.enumerated() { input[label.count + index] = byte }
    }
    var digest = [UInt8](repeating: 0, count: 32)
    guard EVP_Q_digest(nil, "SHA256", nil, input, input.count, &digest, nil) == 1 else {
      throw .drainingQueue("there is no SHA-256")
    }
    id = KeyID(bytes: digest)
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
