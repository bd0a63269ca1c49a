/// The outcome of a call that is not OK (gRPC core concepts, "Status codes and their use in gRPC").
public struct RPCStatus: Error, Sendable, Hashable, CustomStringConvertible {
  public let code: Code
  /// For people; sent to the peer, so nothing internal belongs in it.
  public let message: String
  /// A serialized `google.rpc.Status`, or empty. Travels as `grpc-status-details-bin`.
  public let details: [UInt8]
  /// As whoever made the status has said; it travels as RetryInfo in `details`.
  private let delay: Duration?

  public init(
    _ code: Code, _ message: String, details: [UInt8] = [], retryAfter: Duration? = nil
  ) {
    self.code = code
    self.message = message
    self.details = details
    delay = retryAfter
  }

  /// When the call is worth another try, if the server knows: of a status that came from a server, what the RetryInfo
  /// in its details says. (A channel's own retries heed it.)
  public var retryAfter: Duration? { delay ?? RetryInfo.delay(in: self) }

  public var description: String { "\(code): \(message)" }

  /// A gRPC status code. Numbers that gRPC does not define read as `unknown`.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt8

    private init(_ rawValue: UInt8) { self.rawValue = rawValue }

    public init(number: Int) {
      self = (0...16).contains(number) ? Code(UInt8(truncatingIfNeeded: number)) : .unknown
    }

    public static let ok = Code(0)
    public static let cancelled = Code(1)
    public static let unknown = Code(2)
    public static let invalidArgument = Code(3)
    public static let deadlineExceeded = Code(4)
    public static let notFound = Code(5)
    public static let alreadyExists = Code(6)
    public static let permissionDenied = Code(7)
    public static let resourceExhausted = Code(8)
    public static let failedPrecondition = Code(9)
    public static let aborted = Code(10)
    public static let outOfRange = Code(11)
    public static let unimplemented = Code(12)
    public static let internalError = Code(13)
    public static let unavailable = Code(14)
    public static let dataLoss = Code(15)
    public static let unauthenticated = Code(16)

    // In range: no other codes are made.
    public var description: String { Self.names[Int(rawValue)] }

    private static let names = [
      "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
      "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
      "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]
  }
}
