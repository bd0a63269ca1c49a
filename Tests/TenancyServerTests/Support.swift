import TenancySecrets
import TenancyTestSupport
import TenancyWire

@testable import TenancyRPCCore
@testable import TenancyRPCServer
@testable import Tenancy
@testable import TenancyCrypto
@testable import TenancyServer

extension Sample {
  /// With a data key in use.
  static func keyring() throws -> Keyring {
    let keyring = Keyring(master: try MasterKey())
    try keyring.install([keyring.makeDataKey(at: moment)])
    return keyring
  }

  static func tenant(
    _ number: UInt64, _ name: String, state: TenantState = .active
  ) -> Tenant {
    Tenant(
      id: id(number), slug: slug(name), displayName: "Display \(name)", state: state,
      isolationModel: .schema, configuration: TenantConfiguration(), version: 1, epoch: 1,
      createTime: moment, updateTime: moment)
  }

  static func certificate(
    _ names: [String], notAfter: Int64 = 1_900_000_000, isAuthority: Bool = false
  ) -> PeerCertificate {
    PeerCertificate(
      uriNames: names, fingerprint: [1, 2], notBefore: 0, notAfter: notAfter,
      isAuthority: isAuthority)
  }

  private static let rules = IdentityRules(trustDomains: ["d"])

  static let `operator` = Caller(
    .platform(roles: ["operator"]), subject: "operator", source: .certificate, certificate: nil,
    rules: rules)

  /// Of the tenant acme.
  static let workload = Caller(
    .tenant(name: "acme"), subject: "workload", source: .certificate, certificate: nil,
    rules: rules)

  /// A control plane that holds these tenants and what else is given.
  static func plane(
    _ tenants: [Tenant], _ changes: [Change] = [], sealer: (any SecretSealer)? = nil
  ) throws -> ControlPlane {
    let store = MemoryStore()
    try store.append([
      LogEntry(
        revision: 1, time: moment, actor: "test", action: "test", tenants: [],
        changes: tenants.map(Change.putTenant) + changes)
    ])
    return try ControlPlane(store: store, sealer: sealer, clock: { moment })
  }
}

extension MethodRule {
  /// Of a method of the API; one of nothing for another.
  static func declared(_ path: String) -> MethodRule {
    all.first { $0.path == path }
      ?? .of(MethodIdentity(path: path, requirement: Requirement(permission: "", scope: .ownSelf)))
  }
}

extension String {
  /// Lends the text's bytes.
  func withBytes<R>(
    _ body: (UnsafeRawBufferPointer) throws(TenancyError) -> R
  ) throws(TenancyError) -> R {
    try utf8Span.span.bytes.withUnsafeBytes { bytes throws(TenancyError) in try body(bytes) }
  }
}

/// Where nothing is to be made.
struct NoDataPlane: DataPlane {
  func steps(for tenant: Tenant) -> [String] { [] }
  func perform(_ step: String, for tenant: Tenant, _ password: ClearSecret?) throws {}
  func destroy(for tenant: Tenant, permit: () throws -> Void) throws {}
}

extension [TenancyMethod] {
  /// Calls a method as the runtime calls it.
  @discardableResult
  func call<Request, Response>(
    _ spec: MethodSpec<Request, Response>, _ request: Request, by caller: Caller
  ) async throws -> Response {
    guard case .async(let handler)? = first(where: { $0.path == spec.path })?.handler else {
      throw RPCStatus(.unimplemented, "not asynchronous")
    }
    let call = TenancyCall(
      AsyncCallState(
        connection: Connection(peer: .anonymous, label: "test"), metadata: RPCMetadata(),
        deadline: nil), by: caller)
    let answer = try await handler(call, request.encode(arena: Arena()))
    let arena = Arena()
    return try answer.withUnsafeBytes { try Response(decoding: $0, arena: arena) }
  }
}

extension Access {
  /// The tenants that a list without a filter would go through.
  var seen: [Tenant] {
    guard let query = try? TenantQuery(filter: "", orderBy: "") else { return [] }
    var (listing, budget, found) = (
      visibleTenants(query, after: nil), WorkBudget.uncapped, [Tenant]()
    )
    while let record = listing.next(&budget) { found.append(record.tenant) }
    return found
  }
}
