import Glibc
import TenancyRPC
import TenancyWire
import Testing

/// Who the server takes an operator for.
enum IdentityStory {
  static func run(_ client: Stubs, over transport: Transport) async throws {
    let me = try await client.identity.whoAmI(V1.WhoAmIRequest())
    #expect(me.platformRoles == ["admin"])
    #expect(me.tenant.isEmpty && me.tenantSlug.isEmpty)
    switch transport {
    case .unix:
      #expect(me.source == .unixPeer)
      #expect(me.subject == "uid:\(getuid())")
      #expect(me.certificateFingerprint.isEmpty && me.certificateExpireTime == nil)
    case .mutualTLS:
      #expect(me.source == .certificate)
      #expect(me.subject == "spiffe://example.org/platform/admin")
      #expect(me.certificateFingerprint.count == 64)
      #expect(try #require(me.certificateExpireTime).seconds > Int64(time(nil)) + 89 * 86_400)
    }
  }
}
