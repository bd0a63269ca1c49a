public import Tenancy
import TenancyRPC
import TenancyWire

/// By what tenants' requests are limited that come through Envoy.
public struct RateLimitTerms: Sendable {
  /// What Envoy's filter calls its `domain`.
  public let domain: String
  /// Counts the requests.
  public let limiter: RequestLimiter

  /// - Parameter domain: not empty.
  public init(domain: String, limiter: RequestLimiter) {
    self.domain = domain
    self.limiter = limiter
  }
}

/// `envoy.service.ratelimit.v3.RateLimitService`: whether an HTTP request is within its tenant's limits.
///
/// Which tenant it is for is what `Authorization/Check` has said of it: Envoy passes it on in a descriptor, and the
/// client has no part in that. A tenant that is not served has no requests.
struct RateLimitService: Sendable {
  static let maximumDescriptors = 16
  private static let maximumEntries = 8
  private static let tenantKey = "tenant"
  private static let limitKey = "limit"

  private let plane: ControlPlane
  private let terms: RateLimitTerms?
  private let tally: RequestTally

  init(plane: ControlPlane, terms: RateLimitTerms?, tally: RequestTally) {
    self.plane = plane
    self.terms = terms
    self.tally = tally
  }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.inline(onLoop: EnvoyRateLimit.RateLimitService.shouldRateLimit) {
        (access, loop, request, response) throws(TenancyError) in
        guard let terms else { throw Self.notConfigured }
        let (answer, limited) = try judge(try WireErrors.read(request), access, terms)
        loop?.mark = limited.map { CallMark(tag: CallTag($0), verdict: .limited) }
        response.write(answer)
      }
    ]
  }

  /// - Returns: the answer, and whose request it is if it is more than a limit allows.
  private func judge(
    _ request: EnvoyRateLimit.RateLimitRequest, _ access: Access, _ terms: RateLimitTerms
  ) throws(TenancyError) -> (EnvoyRateLimit.RateLimitResponse, limited: TenantID?) {
    guard request.domain == terms.domain else {
      throw .invalid("domain", "is not the one that the server has: \(terms.domain)")
    }
    let descriptors = request.descriptors
    // Envoy takes an answer to nothing for a yes.
    guard (1...Self.maximumDescriptors).contains(descriptors.count) else {
      throw .invalid("descriptors", "1 to \(Self.maximumDescriptors)")
    }
    var questions: [RequestLimiter.Question] = []
    var asked: [Int?] = []
    for (index, descriptor) in descriptors.enumerated() {
      let wish = try Wish(descriptor, request.hitsAddend, field: "descriptors[\(index)]")
      guard terms.limiter.plans.names.contains(wish.limit) else {
        throw .invalid("descriptors[\(index)].entries", "no plan has a limit called that")
      }
      let state = access.snapshot.state
      guard let record = state.find(wish.tenant.utf8Span.span.bytes, at: access.now),
        record.tenant.state == .active
      else {
        asked.append(nil)
        continue
      }
      asked.append(questions.count)
      questions.append(
        RequestLimiter.Question(
          tenant: record.tenant, plan: state.catalog.plan(of: record.tenant.configuration),
          name: wish.limit, asked: wish.lower, hits: wish.hits))
    }
    let isServed = !asked.contains(nil)
    // Nothing counts of a request that does not go on.
    if !isServed { questions = questions.map(\.askingOnly) }
    let answers = try terms.limiter.judge(questions, at: access.now)
    let isWithin = answers.allSatisfy(\.isWithin)
    tally.note(!isServed ? .unserved : isWithin ? .within : .over)
    let limited = zip(questions, answers).first { !$1.isWithin }?.0.tenant.id
    return (Self.answer(asked.map { place in place.map { answers[$0] } }), limited)
  }

  /// - Parameter answers: nil of tenants that are not served.
  private static func answer(
    _ answers: [RequestLimiter.Answer?]
  ) -> EnvoyRateLimit.RateLimitResponse {
    let refused = answers.filter { !($0?.isWithin ?? false) }
    var response = EnvoyRateLimit.RateLimitResponse(
      overallCode: refused.isEmpty ? .ok : .overLimit, statuses: answers.map(status))
    guard !refused.isEmpty else { return response }
    let wait = refused.reduce(0) { max($0, $1?.wait ?? 0) }
    let seconds = Int64(min(max(1, wait.rounded(.up)), 1e9))
    let error = TenancyError(
      .resourceExhausted, .rateLimited, "more requests than the tenant's limits allow",
      retryAfterSeconds: seconds)
    response.responseHeadersToAdd = [
      EnvoyCore.HeaderValue(key: "content-type", value: "application/json"),
      EnvoyCore.HeaderValue(key: "retry-after", value: "\(seconds)"),
    ]
    response.rawBody = Array(RequestAnswer.body(of: error).utf8)
    return response
  }

  private static func status(
    _ answer: RequestLimiter.Answer?
  ) -> EnvoyRateLimit.RateLimitResponse.DescriptorStatus {
    guard let answer else {
      return EnvoyRateLimit.RateLimitResponse.DescriptorStatus(code: .overLimit)
    }
    let limit = answer.limit
    let wait = min(answer.wait, 1e9)
    return EnvoyRateLimit.RateLimitResponse.DescriptorStatus(
      code: answer.isWithin ? .ok : .overLimit,
      currentLimit: EnvoyRateLimit.RateLimitResponse.RateLimit(
        requestsPerUnit: UInt32(clamping: limit.requests), unit: limit.period.unit,
        name: limit.name),
      limitRemaining: UInt32(clamping: answer.remaining),
      durationUntilReset: GoogleProtobuf.Duration(
        seconds: Int64(wait), nanos: Int32((wait - wait.rounded(.down)) * 1e9)))
  }

  private static let notConfigured = TenancyError(
    .failedPrecondition, .limitsNotConfigured,
    "the server has no rate_limits in its configuration")

  /// What a descriptor asks for.
  private struct Wish {
    var tenant = ""
    var limit = RequestLimit.usualName
    var lower: RequestLimit?
    let hits: Int64

    /// - Throws: INVALID_ARGUMENT for a descriptor that does not say whose the request is, or more than is looked at:
    ///   it would not be limited as whoever wrote it thinks.
    init(
      _ descriptor: EnvoyRateLimitCommon.RateLimitDescriptor, _ usualHits: UInt32, field: String
    ) throws(TenancyError) {
      hits = Int64(clamping: descriptor.hitsAddend?.value ?? UInt64(max(1, usualHits)))
      let entries = descriptor.entries
      guard entries.count <= RateLimitService.maximumEntries else {
        throw .invalid("\(field).entries", "more than \(RateLimitService.maximumEntries)")
      }
      var seen: Set<String> = []
      for entry in entries {
        guard seen.insert(entry.key).inserted else {
          throw .invalid("\(field).entries", "has \(entry.key.clipped(toBytes: 64)) twice")
        }
        switch entry.key {
        case RateLimitService.tenantKey: tenant = entry.value
        case RateLimitService.limitKey: limit = entry.value
        default:
          throw .invalid(
            "\(field).entries", "\(entry.key.clipped(toBytes: 64)): only tenant and limit count")
        }
      }
      guard !tenant.isEmpty else {
        throw .invalid("\(field).entries", "has no tenant")
      }
      guard let override = descriptor.limit else { return }
      guard let period = RequestLimit.Period(override.unit) else {
        throw .invalid("\(field).limit.unit", "one of SECOND, MINUTE, HOUR, DAY, MONTH, YEAR")
      }
      guard override.requestsPerUnit > 0 else {
        throw .invalid("\(field).limit.requests_per_unit", "at least 1")
      }
      lower = try RequestLimit(
        name: limit, requests: min(Int64(override.requestsPerUnit), RequestLimit.maximumRequests),
        period: period, field: "\(field).limit")
    }
  }
}

extension RequestLimiter.Question {
  fileprivate var askingOnly: RequestLimiter.Question {
    RequestLimiter.Question(tenant: tenant, plan: plan, name: name, asked: asked, hits: 0)
  }
}

extension RequestLimit.Period {
  fileprivate init?(_ unit: EnvoyType.RateLimitUnit) {
    switch unit {
    case .second: self = .second
    case .minute: self = .minute
    case .hour: self = .hour
    case .day: self = .day
    case .month: self = .month
    case .year: self = .year
    default: return nil
    }
  }

  fileprivate var unit: EnvoyRateLimit.RateLimitResponse.RateLimit.Unit {
    switch self {
    case .second: .second
    case .minute: .minute
    case .hour: .hour
    case .day: .day
    case .month: .month
    case .year: .year
    }
  }

  /// As Envoy's configuration has it.
  var envoyName: String { rawValue.uppercased() }
}
