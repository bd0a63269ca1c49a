import Tenancy
import TenancyRPC

@testable import TenancyWire

/// Writes encodings that the message types would not.
struct RawEncoding {
  private(set) var bytes: [UInt8] = []

  mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }

  mutating func field(_ number: UInt64, varint value: UInt64) {
    varint(number << 3)
    varint(value)
  }

  mutating func field(_ number: UInt64, bytes content: [UInt8]) {
    varint(number << 3 | 2)
    varint(UInt64(content.count))
    bytes += content
  }

  static func field(_ number: UInt64, _ content: [UInt8]) -> [UInt8] {
    var encoding = RawEncoding()
    encoding.field(number, bytes: content)
    return encoding.bytes
  }
}

extension WireMessage {
  /// Decodes in an arena of its own.
  init(bytes: [UInt8], limit: Int = 1 << 20) throws(WireError) {
    let arena = Arena(limit: limit)
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(WireError) in try Self(decoding: buffer, arena: arena) }
    }
    self = try result.get()
  }

  /// Encodes in an arena of its own.
  func encoded() -> [UInt8] { encode(arena: Arena()) }

  /// The violation that decoding meets, if any.
  static func violation(in bytes: [UInt8]) -> FieldViolation? {
    do throws(WireError) {
      _ = try Self(bytes: bytes)
      return nil
    } catch {
      if case .violation(let violation) = error { return violation }
      return nil
    }
  }
}

/// Messages that together have every kind of field.
enum Samples {
  static let settings: [String: JSONValue] = [
    "none": .null, "on": .bool(true), "ratio": .number(0.25), "text": .string("naïve ☂ 𝄞"),
    "list": .array([.number(-1), .array([]), .object([:])]),
    "nested": .object(["": .string(""), "off": .bool(false)]),
  ]

  static let tenant = V1.Tenant(
    name: "tenants/0190", id: "0190", slug: "acme", displayName: "Acme – Zürich",
    state: .active, isolationModel: .hybrid,
    configuration: V1.TenantConfiguration(
      database: V1.DatabaseConfig(connectionString: "db", username: "u", passwordSet: true),
      schema: V1.SchemaConfig(schemaName: "acme"),
      shared: V1.SharedConfig(),
      customSettings: settings,
      featureFlags: ["beta": true, "legacy": false, "": true]),
    etag: "e1", epoch: .max,
    createTime: GoogleProtobuf.Timestamp(seconds: 1_769_851_800, nanos: 250_000_000),
    purgeTime: GoogleProtobuf.Timestamp(seconds: -1, nanos: 1))
}
