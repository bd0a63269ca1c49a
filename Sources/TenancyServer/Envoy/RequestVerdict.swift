import Tenancy
import TenancyCrypto
import TenancyWire

/// What an HTTP request is let through with: whose it is.
struct RequestIdentity {
  let tenant: Tenant
  let caller: Caller

  /// Headers that the request goes on with.
  static let tenantHeader = "x-tenant-id"
  static let slugHeader = "x-tenant-slug"
  static let subjectHeader = "x-tenant-subject"
  static let actorHeader = "x-tenant-actor"
  static let headers = [tenantHeader, slugHeader, subjectHeader, actorHeader]

  /// What other programs take for the method, path or host of a request, or for its client's certificate: they would
  /// not be those that were judged.
  private static let overridingHeaders = [
    "forwarded", "x-envoy-original-method", "x-forwarded-host", "x-forwarded-method",
    "x-forwarded-prefix", "x-forwarded-uri", "x-host", "x-http-method", "x-http-method-override",
    "x-method-override", "x-original-method", "x-original-uri", "x-original-url", "x-rewrite-url",
    "x-ssl-client-cert",
  ]

  /// Who acts for the subject, whoever does now first; nil: nobody.
  private var actor: String? { caller.token?.claims.actors.first?.subject.text }

  /// The request goes on as this one's.
  /// - Parameters:
  ///   - others: headers that name tenants, in lower case.
  ///   - plans: by which its requests are limited; nil: they are not.
  ///   - plan: the one that the tenant names, where the platform has declared it.
  func answer(
    removing others: [String], _ plans: LimitPlans?, _ plan: Plan? = nil
  ) -> EnvoyAuth.CheckResponse {
    var headers = [
      (Self.tenantHeader, tenant.id.description), (Self.slugHeader, tenant.slug.text),
      (Self.subjectHeader, PercentEncoding.encode(caller.subject)),
    ]
    if let actor { headers.append((Self.actorHeader, PercentEncoding.encode(actor))) }
    let set = Set(headers.map(\.0))
    var metadata: [String: JSONValue] = [
      "tenant": .string(tenant.id.description), "tenant_slug": .string(tenant.slug.text),
      "subject": .string(caller.subject),
      "credential": .string(caller.token == nil ? "certificate" : "token"),
    ]
    if let actor { metadata["actor"] = .string(actor) }
    if let plans {
      let own = tenant.configuration.limits
      metadata["plan"] = .string(plans.plan(of: own))
      if let limits = plans.limits(of: own, plan) { metadata["limits"] = Self.overrides(limits) }
    }
    return Self.allowed(
      headers.map { RequestAnswer.header($0.0, $0.1) },
      removing: (Self.headers + others).filter { !set.contains($0) }, metadata)
  }

  /// By name and period, as Envoy takes a limit from metadata.
  private static func overrides(_ limits: [RequestLimit]) -> JSONValue {
    let named = Dictionary(grouping: limits, by: \.name)
    return .object(
      named.mapValues { limits in
        .object(
          Dictionary(
            limits.map { limit in
              (
                limit.period.rawValue,
                [
                  "requests_per_unit": .number(Double(limit.requests)),
                  "unit": .string(limit.period.envoyName),
                ]
              )
            }, uniquingKeysWith: { first, _ in first }))
      })
  }

  /// The request goes on as nobody's.
  static func anonymousAnswer(removing others: [String]) -> EnvoyAuth.CheckResponse {
    allowed([], removing: headers + others, nil)
  }

  private static func allowed(
    _ headers: [EnvoyCore.HeaderValueOption], removing names: [String],
    _ metadata: [String: JSONValue]?
  ) -> EnvoyAuth.CheckResponse {
    EnvoyAuth.CheckResponse(
      status: GoogleRPC.Status(),
      httpResponse: .okResponse(
        EnvoyAuth.OkHttpResponse(
          headers: headers, headersToRemove: unique(names + overridingHeaders))),
      dynamicMetadata: metadata)
  }

  private static func unique(_ names: [String]) -> [String] {
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
  }
}

/// Answers to Envoy's questions.
enum RequestAnswer {
  /// Overwrites what the request has of that name.
  static func header(_ name: String, _ value: String) -> EnvoyCore.HeaderValueOption {
    EnvoyCore.HeaderValueOption(
      header: EnvoyCore.HeaderValue(key: name, value: value),
      append: GoogleProtobuf.BoolValue(value: false))
  }

  /// The request does not go on.
  static func denied(_ error: TenancyError) -> EnvoyAuth.CheckResponse {
    let code = StatusMapping.code(of: error.category)
    let status = httpStatus(of: error.category)
    var headers = [header("content-type", "application/json")]
    if status == 401 { headers.append(header("www-authenticate", "Bearer")) }
    if let seconds = error.retryAfterSeconds {
      headers.append(header("retry-after", "\(max(1, seconds))"))
    }
    return EnvoyAuth.CheckResponse(
      // Never 0, which Envoy takes for a yes.
      status: GoogleRPC.Status(code: Int32(code.rawValue), message: message(of: error)),
      httpResponse: .deniedResponse(
        EnvoyAuth.DeniedHttpResponse(
          status: EnvoyType.HttpStatus(code: status), headers: headers, body: body(of: error))))
  }

  /// What the client is told, as JSON.
  static func body(of error: TenancyError) -> String {
    let status = JSONValue.object([
      "code": .number(Double(httpStatus(of: error.category))),
      "status": .string(StatusMapping.code(of: error.category).description),
      "reason": .string(error.reason.rawValue), "message": .string(message(of: error)),
    ])
    return JSONValue.object(["error": status]).text() + "\n"
  }

  private static func message(of error: TenancyError) -> String {
    error.message.clipped(toBytes: StatusMapping.maximumTextBytes)
  }

  /// As RFC 9110 has them.
  static func httpStatus(of category: TenancyError.Category) -> Int32 {
    switch category {
    case .invalidArgument, .outOfRange: 400
    case .unauthenticated: 401
    case .permissionDenied, .failedPrecondition: 403
    case .notFound: 404
    case .alreadyExists, .aborted: 409
    case .resourceExhausted: 429
    case .unavailable, .cancelled: 503
    case .unimplemented, .internalError: 500
    }
  }
}

/// Answers that let requests through, by whom they are of: one that is given again is copied. Confined to an event
/// loop.
struct KnownAnswers {
  private final class Entry {
    /// Kept, so that no other has its address.
    let caller: Caller
    let tenant: TenantID
    let version: UInt64
    let epoch: UInt64
    /// 0: the platform has not declared it.
    let plan: UInt64
    let bytes: [UInt8]

    init(_ caller: Caller, _ tenant: Tenant, _ plan: Plan?, _ bytes: [UInt8]) {
      self.caller = caller
      self.plan = plan?.version ?? 0
      (self.tenant, version, epoch) = (tenant.id, tenant.version, tenant.epoch)
      self.bytes = bytes
    }
  }

  private var entries: BoundedCache<ObjectIdentifier, Entry>

  init(capacity: Int = 4096) { entries = BoundedCache(capacity: capacity) }

  /// The encoded answer that this caller was given for this very tenant.
  func find(_ caller: Caller, _ tenant: Tenant, _ plan: Plan? = nil) -> [UInt8]? {
    guard let entry = entries[ObjectIdentifier(caller)], entry.tenant == tenant.id,
      entry.version == tenant.version, entry.epoch == tenant.epoch,
      entry.plan == plan?.version ?? 0
    else { return nil }
    return entry.bytes
  }

  mutating func insert(
    _ bytes: [UInt8], _ caller: Caller, _ tenant: Tenant, _ plan: Plan? = nil
  ) {
    entries.insert(Entry(caller, tenant, plan, bytes), for: ObjectIdentifier(caller))
  }

  /// Lets go of those who were answered: connections that are gone would be kept.
  mutating func removeAll() { entries = BoundedCache(capacity: entries.capacity) }
}
