public import TenancyRPCCore

/// What a client says about one call.
public struct RPCCallOptions: Sendable {
  /// Sent with the call. Names are lower case; `-bin` values are base64.
  public var metadata: RPCMetadata
  /// How long the caller waits, connecting and all attempts included; nil: for ever. Afterwards
  /// DEADLINE_EXCEEDED.
  public var timeout: Duration?
  /// Whether the call waits while no server can be reached, instead of failing with UNAVAILABLE.
  public var waitForReady = false
  /// Whether making the call twice does no harm. Only then it is made again by the channel's
  /// `RPCRetryPolicy` when a server may have seen it. nil: as the method declares (`idempotency_level`).
  public var isIdempotent: Bool?
  /// Packs the request's messages with gzip. Has no effect over ttrpc.
  public var compressesRequests = false
  /// More metadata for this call, such as a token; in addition to the channel's.
  public var credentials: (any MetadataProvider)?
  /// Told once, when the call is over, what metadata the server sent with the response.
  public var onMetadata: (@Sendable (ResponseMetadata) -> Void)?

  /// - Parameter timeout: for the whole call, all attempts together; nil: none.
  public init(metadata: RPCMetadata = RPCMetadata(), timeout: Duration? = .seconds(30)) {
    self.metadata = metadata
    self.timeout = timeout
  }
}

/// The metadata of a response. ttrpc has none.
public struct ResponseMetadata: Sendable, Hashable {
  /// What came before the messages; empty if the server sent an error and nothing else.
  public let initial: RPCMetadata
  /// What came after them.
  public let trailing: RPCMetadata
}
