import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// The life of a tenant's tokens: issued, exchanged, looked at, resolved, revoked; and that of the keys.
enum TokenStory {
  static func run(_ client: Stubs) async throws {
    let acme = try await client.createActive("acme")
    let tokens = client.tokens
    #expect(
      try await tokens.getJsonWebKeySet(V1.GetJsonWebKeySetRequest(parent: acme.name)).keys.isEmpty)
    let issued = try await tokens.issueToken(
      V1.IssueTokenRequest(
        parent: acme.name, subject: "user:al", permissions: ["orders:*"], unbound: true))
    let exchanged = try await tokens.exchangeToken(
      V1.ExchangeTokenRequest(subjectToken: issued.token, permissions: ["orders:read"]))
    let found = try await tokens.introspectToken(
      V1.IntrospectTokenRequest(token: exchanged.token))
    #expect(found.active && found.subject == "user:al" && found.permissions == ["orders:read"])
    #expect(found.tenant == acme.name && found.tokenId == exchanged.tokenId)
    let resolved = try await client.resolver.resolveFromToken(
      V1.ResolveFromTokenRequest(token: issued.token))
    #expect(resolved.tenant?.name == acme.name && resolved.strategy == .token)

    let first = try await tokens.getJsonWebKeySet(
      V1.GetJsonWebKeySetRequest(parent: acme.name))
    #expect(first.issuer == "https://example.com/tenants/\(acme.id)")
    let rotated = try await tokens.rotateTokenKey(
      V1.RotateTokenKeyRequest(parent: acme.name, algorithm: .eddsa))
    #expect(rotated.key?.algorithm == .eddsa)
    let before = try #require(first.keys.first)
    _ = try await tokens.removeTokenKey(
      V1.RemoveTokenKeyRequest(parent: acme.name, keyId: before.id))
    #expect(
      try await !tokens.introspectToken(V1.IntrospectTokenRequest(token: issued.token)).active)

    let last = try await tokens.issueToken(
      V1.IssueTokenRequest(parent: acme.name, subject: "user:al", unbound: true))
    let revocation = try await tokens.revokeTokens(
      V1.RevokeTokensRequest(parent: acme.name, target: .tokenId(last.tokenId)))
    #expect(revocation.expireTime != nil)
    #expect(
      try await !tokens.introspectToken(V1.IntrospectTokenRequest(token: last.token)).active)
    try await settings(client, of: acme)
  }

  private static func settings(_ client: Stubs, of tenant: V1.Tenant) async throws {
    let tokens = client.tokens
    let before = try await tokens.getAuthenticationSettings(
      V1.GetAuthenticationSettingsRequest(parent: tenant.name))
    #expect(before == V1.AuthenticationSettings(etag: "a0"))
    var wanted = before
    wanted.disableOwnTokens = true
    let after = try await tokens.setAuthenticationSettings(
      V1.SetAuthenticationSettingsRequest(parent: tenant.name, settings: wanted))
    wanted.etag = "a1"
    #expect(after == wanted)
    await #expect(throws: (any Error).self) {
      try await tokens.issueToken(
        V1.IssueTokenRequest(parent: tenant.name, subject: "user:al", unbound: true))
    }
  }
}
