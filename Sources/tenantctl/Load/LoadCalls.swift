import TenancyClient
import TenancyRPC
import TenancyWire

/// The calls of a load, over several connections.
struct LoadCalls: Sendable {
  /// Tenants that are looked up when none are named.
  static let listedTenants = 1_000
  /// Connections that are made side by side.
  static let connectingAtOnce = 64

  private struct Line: Sendable {
    let resolver: TenantResolverClient
    let authorization: AuthorizationClient
  }

  private let lines: [Line]
  private let methods: [LoadMethod]
  private let resolves: [V1.ResolveTenantRequest]
  private let checks: [V1.CheckRequest]
  private let options: RPCCallOptions

  /// - Precondition: there are channels and tenants.
  init(_ plan: LoadPlan, tenants: [String], channels: [any CallChannel], options: RPCCallOptions) {
    lines = channels.map {
      Line(resolver: TenantResolverClient($0), authorization: AuthorizationClient($0))
    }
    methods = plan.methods
    resolves = tenants.map { V1.ResolveTenantRequest(path: "/tenants/\($0)/load") }
    checks = tenants.map {
      V1.CheckRequest(
        tenant: "tenants/\($0)", subject: plan.subject, permission: plan.permission)
    }
    self.options = options
  }

  /// Calls method `method` of the plan.
  func call(_ method: Int, _ number: UInt64) async throws {
    let line = lines[Int(number % UInt64(lines.count))]
    // Mixed, so that each connection calls for each tenant.
    let draw = SplitMix64.mix(number)
    switch methods[method] {
    case .resolve:
      let request = resolves[Int(draw % UInt64(resolves.count))]
      _ = try await line.resolver.resolveTenant(request, options: options)
    case .check:
      let request = checks[Int(draw % UInt64(checks.count))]
      _ = try await line.authorization.check(request, options: options)
    }
  }

  /// Makes a call on every connection, so that connecting is not measured.
  ///
  /// - Throws: the last status that said that there is no server, if every connection failed so.
  func connect() async throws(RPCStatus) {
    let failures = await withTaskGroup(of: RPCStatus?.self) { group in
      var failures: [RPCStatus] = []
      for number in lines.indices {
        if number >= Self.connectingAtOnce, let ended = await group.next(), let failure = ended {
          failures.append(failure)
        }
        group.addTask { await failure(connecting: UInt64(number)) }
      }
      for await ended in group {
        if let failure = ended { failures.append(failure) }
      }
      return failures
    }
    if failures.count == lines.count, let last = failures.last { throw last }
  }

  private func failure(connecting number: UInt64) async -> RPCStatus? {
    do {
      try await call(0, number)
      return nil
    } catch {
      // A server that refuses is there: how often it does is what is measured.
      let status = error as? RPCStatus
      return status?.code == .unavailable || status?.code == .deadlineExceeded ? status : nil
    }
  }

  /// The slugs of tenants that serve, for loads that name none.
  static func tenants(of channel: any CallChannel, _ options: RPCCallOptions) async throws
    -> [String]
  {
    let client = TenantManagerClient(channel)
    func page(_ token: String) async throws -> (items: [String], next: String) {
      let page = try await client.listTenants(
        V1.ListTenantsRequest(
          pageSize: Int32(listedTenants), pageToken: token, filter: "state = ACTIVE"),
        options: options)
      return (page.tenants.map(\.slug), page.nextPageToken)
    }
    let (first, next) = try await page("")
    let (slugs, _) = try await PageOptions.follow(first, next, until: listedTenants, page)
    guard !slugs.isEmpty else {
      throw UsageError(
        "no tenant is active: name some by --tenant, --tenants-file or --tenant-count")
    }
    return slugs
  }
}
