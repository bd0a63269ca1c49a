internal import CTenancyOpenSSL

/// SHA-256 (FIPS 180-4).
public enum SHA256Digest {
  /// Lower-case hex.
  public static func hex(_ bytes: [UInt8]) -> String { HexText.encode(self.bytes(bytes)) }

  /// 32 bytes (FIPS 180-4).
  @Sendable
  public static func bytes(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    SHA256(bytes, bytes.count, &digest)
    return digest
  }
}

/// Lower-case hex.
enum HexText {
  static func encode(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
