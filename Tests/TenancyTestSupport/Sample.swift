package import Tenancy

/// Values for tests.
package enum Sample {
  package static let moment = Timestamp(nanoseconds: 1_800_000_000 * 1_000_000_000)

  package static func id(_ number: UInt64) -> TenantID {
    TenantID(high: number << 16 | 0x7000, low: 0b10 << 62 | number)
  }

  package static func slug(_ text: String) -> Slug {
    guard let slug = Slug(parsing: text) else { preconditionFailure("not a slug: \(text)") }
    return slug
  }

  /// What could be a thumbprint, of one character.
  package static func keyID(_ name: Character) -> String { String(repeating: name, count: 43) }

  package static func newKey(_ name: Character) -> NewTokenKey {
    NewTokenKey(
      id: keyID(name), algorithm: .es256, publicKey: #"{"kid":"\#(name)","kty":"EC"}"#,
      privateKey: ClearSecret("private \(name)"))
  }
}

extension TenantState {
  /// Those in which a state of the control plane has tenants.
  package static let known = allCases.filter { $0 != .purged }
}
