import CTenancyProtobufC
import CTenancyProto
import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantResolver`. Works on messages in C: this is the hot path.
struct TenantResolverService: Sendable {
  let resolver: Resolver

  private typealias Response = EncodedMessage<V1.ResolveTenantResponse>

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantResolver
    return [
      gate.inlineC(API.resolveTenant) { (access, request, arena) throws(TenancyError) in
        var sources = Sources()
        try sources.takePath(request.pointee.path)
        try sources.takeHost(request.pointee.host)
        try sources.takeHeaders(
          request.pointee.headers, request.pointee.n_headers, rules: resolver.rules)
        try sources.takeEnvironment(
          request.pointee.environment, request.pointee.n_environment, rules: resolver.rules)
        guard request.pointee.token.bytes.isEmpty else { throw Self.noTokens }
        return try answer(access, sources, mayFallBack: true, arena)
      },
      gate.inlineC(API.resolveFromPath) { (access, request, arena) throws(TenancyError) in
        var sources = Sources()
        try sources.takePath(request.pointee.path)
        return try answer(access, sources, mayFallBack: false, arena)
      },
      gate.inlineC(API.resolveFromSubdomain) { (access, request, arena) throws(TenancyError) in
        var sources = Sources()
        try sources.takeHost(request.pointee.host)
        return try answer(access, sources, mayFallBack: false, arena)
      },
      gate.inlineC(API.resolveFromHeaders) { (access, request, arena) throws(TenancyError) in
        var sources = Sources()
        try sources.takeHeaders(
          request.pointee.headers, request.pointee.n_headers, rules: resolver.rules)
        return try answer(access, sources, mayFallBack: false, arena)
      },
      gate.inline(API.resolveFromToken) { (_, _) throws(TenancyError) in throw Self.noTokens },
      gate.inlineC(API.resolveFromEnvironment) { (access, request, arena) throws(TenancyError) in
        var sources = Sources()
        try sources.takeEnvironment(
          request.pointee.environment, request.pointee.n_environment, rules: resolver.rules)
        return try answer(access, sources, mayFallBack: false, arena)
      },
      gate.inlineC(API.getDefaultTenant) { (access, _, arena) throws(TenancyError) in
        ResolutionAnswer.make(try defaultTenant(access), rules: resolver.rules, arena)
      },
      gate.inline(API.validateTenant, validate),
    ]
  }

  private static let noTokens = TenancyError(
    .unimplemented, .notImplemented, "this server can't verify tokens yet")

  private func answer(
    _ access: Access, _ sources: borrowing Sources, mayFallBack: Bool, _ arena: Arena
  ) throws(TenancyError) -> Response {
    let resolution = try resolver.resolve(
      path: sources.path.bytes, host: sources.host.bytes, header: sources.header.bytes,
      environment: sources.environment.bytes, given: sources.given, state: access.snapshot.state,
      home: access.home, now: access.now, mayFallBack: mayFallBack)
    return ResolutionAnswer.make(resolution, rules: resolver.rules, arena)
  }

  private func defaultTenant(_ access: Access) throws(TenancyError) -> Resolution {
    guard let name = resolver.rules.defaultTenant else {
      throw TenancyError(.notFound, .tenantUnresolved, "no default tenant is configured")
    }
    guard let record = try access.find(name.utf8Span.span.bytes) else { throw .tenantNotFound }
    if let refusal = Lifecycle.refusal(for: record.tenant.state) { throw refusal }
    return .byDefault(record)
  }

  private func validate(
    _ access: Access, _ request: V1.ValidateTenantRequest
  ) throws(TenancyError) -> V1.ValidateTenantResponse {
    let name = request.name
    let record = try name.utf8Span.span.bytes.withUnsafeBytes { bytes throws(TenancyError) in
      try access.find(TenantNames.bareName(bytes, .tenant).bytes)
    }
    guard let record, record.tenant.state != .deleted else {
      return V1.ValidateTenantResponse(reason: TenancyError.Reason.tenantNotFound.rawValue)
    }
    let refusal = Lifecycle.refusal(for: record.tenant.state)
    return V1.ValidateTenantResponse(
      valid: refusal == nil, state: V1.TenantState(record.tenant.state),
      reason: refusal?.reason.rawValue ?? "")
  }
}

/// The selectors of one request, checked as text; they point into the request.
private struct Sources {
  var path = UnsafeRawBufferPointer(start: nil, count: 0)
  var host = UnsafeRawBufferPointer(start: nil, count: 0)
  var header = UnsafeRawBufferPointer(start: nil, count: 0)
  var environment = UnsafeRawBufferPointer(start: nil, count: 0)
  var given = StrategySet()

  mutating func takePath(_ text: ProtobufCBinaryData) throws(TenancyError) {
    try SelectorParsing.checkLength(text.bytes.count, "path")
    path = try WireErrors.text(text, "path")
    if !path.isEmpty { given.insert(StrategySet(.path)) }
  }

  mutating func takeHost(_ text: ProtobufCBinaryData) throws(TenancyError) {
    try SelectorParsing.checkLength(text.bytes.count, "host")
    host = try WireErrors.text(text, "host")
    if !host.isEmpty { given.insert(StrategySet(.subdomain)) }
  }

  /// Finds the tenant header. Repeats that disagree are refused: proxies differ in which they believe.
  mutating func takeHeaders<Entry: MapEntry>(
    _ entries: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>?, _ count: Int,
    rules: ResolutionRules
  ) throws(TenancyError) {
    for index in 0..<count {
      guard let entry = entries?[index]?.pointee else { continue }
      let name = try WireErrors.text(entry.key, "headers")
      let value = try WireErrors.text(entry.value, "headers")
      guard name.count == rules.headerName.utf8.count, Self.matches(name, rules.headerName) else {
        continue
      }
      try Self.take(value, .header, &header, &given, "headers")
    }
  }

  mutating func takeEnvironment<Entry: MapEntry>(
    _ entries: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>?, _ count: Int,
    rules: ResolutionRules
  ) throws(TenancyError) {
    for index in 0..<count {
      guard let entry = entries?[index]?.pointee else { continue }
      let name = try WireErrors.text(entry.key, "environment")
      let value = try WireErrors.text(entry.value, "environment")
      guard name.elementsEqual(rules.environmentVariable.utf8) else { continue }
      try Self.take(value, .environment, &environment, &given, "environment")
    }
  }

  private static func take(
    _ value: UnsafeRawBufferPointer, _ strategy: ResolutionStrategy,
    _ slot: inout UnsafeRawBufferPointer, _ given: inout StrategySet, _ field: String
  ) throws(TenancyError) {
    if given.contains(strategy), !slot.elementsEqual(value) {
      throw .invalid(field, "the tenant is named twice, differently", reason: .tenantAmbiguous)
    }
    slot = value
    given.insert(StrategySet(strategy))
  }

  /// Compares a header's name, in any case, with one in lower case.
  private static func matches(_ name: UnsafeRawBufferPointer, _ lower: String) -> Bool {
    zip(name, lower.utf8).allSatisfy { byte, wanted in
      ((UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte) == wanted
    }
  }
}

/// A decoded `map<string, string>` entry.
private protocol MapEntry {
  var key: ProtobufCBinaryData { get }
  var value: ProtobufCBinaryData { get }
}
extension Tenancy__V1__ResolveTenantRequest__HeadersEntry: MapEntry {}
extension Tenancy__V1__ResolveTenantRequest__EnvironmentEntry: MapEntry {}
extension Tenancy__V1__ResolveFromHeadersRequest__HeadersEntry: MapEntry {}
extension Tenancy__V1__ResolveFromEnvironmentRequest__EnvironmentEntry: MapEntry {}

/// A resolution as the API's response.
private enum ResolutionAnswer {
  static func make(
    _ resolution: Resolution, rules: ResolutionRules, _ arena: Arena
  ) -> EncodedMessage<V1.ResolveTenantResponse> {
    let record = resolution.record
    var answer = MessageBuilder<V1.ResolveTenantResponse>(in: arena, capacity: 512)
    record.rendition { encoded($0, id: record.idText) }.bytes.withUnsafeBytes {
      answer.write(.tenant, encoded: $0)
    }
    answer.write(.strategy, wire(resolution.strategy))
    // One finding for each source that was looked at, the most trusted first.
    for strategy in rules.order { explain(strategy, resolution, &answer) }
    explain(.credential, resolution, &answer)
    explain(.default, resolution, &answer)
    return answer.finish()
  }

  private static func explain(
    _ strategy: ResolutionStrategy, _ resolution: Resolution,
    _ answer: inout MessageBuilder<V1.ResolveTenantResponse>
  ) {
    guard resolution.given.contains(strategy) else { return }
    answer.write(.explanation) { finding in
      finding.write(.strategy, wire(strategy))
      if resolution.named.contains(strategy) {
        let record = resolution.record
        finding.write(
          .value,
          resolution.namedByID.contains(strategy) ? record.idText : record.tenant.slug.text)
      }
      finding.write(.decided, strategy == resolution.strategy)
    }
  }

  /// What all answers say of a tenant.
  private static func encoded(_ tenant: Tenant, id: String) -> [UInt8] {
    var message = V1.ResolvedTenant(
      name: TenantNames.collection + id, id: id, slug: tenant.slug.text,
      displayName: tenant.displayName, state: V1.TenantState(tenant.state),
      isolationModel: V1.IsolationModel(tenant.isolationModel), epoch: tenant.epoch)
    if let schema = tenant.configuration.schema { message.schemaName = schema.schemaName }
    if let shared = tenant.configuration.shared {
      message.tenantIdentifier = shared.tenantIdentifier
    }
    return message.encode(arena: Arena(firstBlock: Gate.arenaBytes))
  }

  private static func wire(_ strategy: ResolutionStrategy) -> V1.ResolutionStrategy {
    switch strategy {
    case .path: .path
    case .subdomain: .subdomain
    case .header: .header
    case .environment: .environment
    case .default: .default
    case .credential: .credential
    }
  }
}
