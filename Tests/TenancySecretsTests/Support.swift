import Tenancy
import TenancyCrypto

@testable import TenancySecrets

/// Keys and places for tests.
enum Sample {
  static func hex(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8).map { digit in
      UInt8(digit > UInt8(ascii: "9") ? digit - UInt8(ascii: "a") + 10 : digit - UInt8(ascii: "0"))
    }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  static func key(_ bytes: [UInt8]) throws -> KeyBytes {
    KeyBytes { target in target.copyBytes(from: bytes) }
  }

  static func parse(_ text: [UInt8]) throws -> MasterKey {
    try text.withUnsafeBytes { try MasterKey(parsing: $0) }
  }

  static func master(_ number: UInt8 = 0) throws -> MasterKey {
    try MasterKey(key((0..<32).map { $0 * 2 + number }))
  }

  static func dataKey() throws -> DataKey {
    DataKey(
      id: KeyID(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF),
      key: try key((0..<32).map { 255 - $0 * 2 }))
  }

  static func tenant(_ number: UInt64 = 0) -> TenantID {
    TenantID(high: 0x0190_A1B2_C3D4_7E5F, low: 0x8A9B_ACBD_CEDF_E0F1 + number)
  }

  static func place(_ number: UInt64 = 0) -> SecretPlace {
    SecretPlace(tenant: tenant(number), purpose: .databasePassword)
  }

  static let now = Timestamp(nanoseconds: 1)

  /// A keyring with one data key, and that as a store has it.
  static func keyring(
    _ master: MasterKey, previous: [MasterKey] = []
  ) throws -> (Keyring, WrappedDataKey) {
    let keyring = Keyring(master: master, previous: previous)
    let key = try keyring.makeDataKey(at: now)
    try keyring.install([key])
    return (keyring, key)
  }
}
