import Tenancy
import TenancyRPC

/// What an HTTP request of AuthZEN begins with.
public struct AuthZENHead: Sendable {
  let method: String
  let path: String
  private let fields: [(name: String, value: String)]

  /// - Parameters:
  ///   - path: without a query.
  ///   - fields: their names in any case.
  public init(method: String, path: String, fields: [(name: String, value: String)]) {
    self.method = method
    self.path = path
    self.fields = fields.map { ($0.name.lowercased(), $0.value) }
  }

  func values(of name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }
}

/// What a request of AuthZEN is answered.
public struct AuthZENAnswer: Sendable, Equatable {
  /// An HTTP status.
  public var status: Int
  /// Fields of the answer beside its length.
  public var fields: [Field]
  /// JSON.
  public var body: String

  /// A field of an answer.
  public struct Field: Sendable, Equatable {
    /// In lower case.
    public let name: String
    /// As it is sent.
    public let value: String

    init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  init(json body: String, caching: String = "no-store") {
    status = 200
    fields = [
      Field("content-type", "application/json"), Field("cache-control", caching),
    ]
    self.body = body
  }

  /// A problem (RFC 9457).
  /// - Parameter status: if it is not that of the error.
  init(_ error: TenancyError, status: Int? = nil, hasCredential: Bool = false) {
    let status = status ?? Self.status(of: error)
    self.status = status
    fields = [
      Field("content-type", "application/problem+json"), Field("cache-control", "no-store"),
    ]
    if status == 401 {
      let cause = hasCredential ? ", error=\"invalid_token\"" : ""
      fields.append(Field("www-authenticate", "Bearer realm=\"tenancy\"\(cause)"))
    }
    if let seconds = error.retryAfterSeconds ?? (status == 429 || status == 503 ? 1 : nil) {
      fields.append(Field("retry-after", "\(seconds)"))
    }
    var problem: [String: JSONValue] = [
      "status": .number(Double(status)), "title": .string(Self.title(of: status)),
      "detail": .string(error.message.clipped(toBytes: StatusMapping.maximumTextBytes)),
      "reason": .string(error.reason.rawValue),
    ]
    if !error.violations.isEmpty {
      problem["violations"] = .array(
        error.violations.prefix(Self.maximumViolations).map { violation in
          .object([
            "field": .string(violation.field), "description": .string(violation.description),
          ])
        })
    }
    body = JSONValue.object(problem).text()
  }

  private static let maximumViolations = 8

  /// Errors as HTTP statuses, in this one place.
  static func status(of error: TenancyError) -> Int {
    switch error.category {
    case .invalidArgument, .outOfRange: 400
    case .unauthenticated: 401
    // A tenant that is not served: 400 would be a request that is not understood.
    case .permissionDenied, .failedPrecondition: 403
    case .notFound: 404
    case .alreadyExists, .aborted: 409
    case .resourceExhausted: 429
    case .unimplemented: 501
    case .unavailable, .cancelled: 503
    case .internalError: 500
    }
  }

  private static func title(of status: Int) -> String {
    switch status {
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 409: "Conflict"
    case 413: "Content Too Large"
    case 429: "Too Many Requests"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    default: "Internal Server Error"
    }
  }
}
