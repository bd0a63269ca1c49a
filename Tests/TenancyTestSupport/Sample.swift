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
}
