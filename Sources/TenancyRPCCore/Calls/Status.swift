/// The outcome of a call that is not OK (gRPC core concepts, "Status codes and their use in gRPC").
public struct RPCStatus: Error, Sendable, Hashable, CustomStringConvertible {
  /// What programs tell outcomes apart by.
  public let code: Code
  /// For people; sent to the peer, so nothing internal belongs in it.
  public let message: String
  /// A serialized `google.rpc.Status`, or empty. Travels as `grpc-status-details-bin`.
  public let details: [UInt8]
  /// As whoever made the status has said; it travels as RetryInfo in `details`.
  private let delay: Duration?

  /// - Parameters:
  ///   - message: for people; sent to the peer.
  ///   - details: a serialized `google.rpc.Status`, or empty.
  ///   - retryAfter: when to try again: travels as `google.rpc.RetryInfo`.
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
    /// As it travels: 0 to 16.
    public let rawValue: UInt8

    private init(_ rawValue: UInt8) { self.rawValue = rawValue }

    /// A number from the wire; `unknown` for what is not 0 to 16.
    public init(number: Int) {
      self = (0...16).contains(number) ? Code(UInt8(truncatingIfNeeded: number)) : .unknown
    }

    /// Success: what a handler does not throw.
    public static let ok = Code(0)
    /// The caller gave up.
    public static let cancelled = Code(1)
    /// The cause has no code, or is unknown.
    public static let unknown = Code(2)
    /// The request is wrong, whatever the state is.
    public static let invalidArgument = Code(3)
    /// The deadline passed; the call may have been carried out all the same.
    public static let deadlineExceeded = Code(4)
    /// What is named is not there.
    public static let notFound = Code(5)
    /// What is to be created is there.
    public static let alreadyExists = Code(6)
    /// The caller is known, and not allowed to.
    public static let permissionDenied = Code(7)
    /// A quota or a limit is used up.
    public static let resourceExhausted = Code(8)
    /// The present state does not allow it: repeating does not help.
    public static let failedPrecondition = Code(9)
    /// A conflict with other calls: read again, then repeat.
    public static let aborted = Code(10)
    /// Beyond the valid range, in the present state.
    public static let outOfRange = Code(11)
    /// There is no such method, or it is not supported.
    public static let unimplemented = Code(12)
    /// A fault of the server.
    public static let internalError = Code(13)
    /// May go away by itself: repeat after a pause.
    public static let unavailable = Code(14)
    /// Data is lost or damaged for good.
    public static let dataLoss = Code(15)
    /// No valid credential came with the call.
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
