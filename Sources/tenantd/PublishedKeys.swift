import Tenancy
import TenancyMetrics

/// The public keys of tenants' tokens, for whoever verifies tokens without asking: `/tenants/{id}/jwks.json`.
/// From memory; says nothing else of a tenant, and of one without keys as much as of one that isn't there.
struct PublishedKeys: Sendable {
  /// Seconds that others may keep them: a key that is removed is trusted elsewhere for as long.
  private static let lifetime = 60
  private static let prefix = "/tenants/"
  private static let suffix = "/jwks.json"

  let plane: ControlPlane

  /// Nil: there is none. Tenants go by their ids alone: a slug may become another's.
  func page(_ path: String) -> ProbeListener.Page? {
    guard path.hasPrefix(Self.prefix), path.hasSuffix(Self.suffix),
      path.utf8.count > Self.prefix.utf8.count + Self.suffix.utf8.count,
      let id = TenantID(
        parsing: String(path.dropFirst(Self.prefix.count).dropLast(Self.suffix.count))),
      let tenant = plane.state.find(id)?.tenant
    else { return nil }
    let now = plane.now
    let keys = tenant.tokenKeys.filter { $0.verifies(at: now) }
    guard !keys.isEmpty else { return nil }
    return ProbeListener.Page(
      contentType: "application/jwk-set+json", caching: "max-age=\(Self.lifetime)",
      "{\"keys\":[\(keys.map(\.publicKey).joined(separator: ","))]}")
  }
}
