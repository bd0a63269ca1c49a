/// What a client says about one call.
public struct CallOptions: Sendable {
  /// Sent with the call. Names are lower case; `-bin` values are base64.
  public var metadata: Metadata
  /// How long the caller waits, connecting included; nil: for ever. Afterwards DEADLINE_EXCEEDED.
  public var timeout: Duration?

  public init(metadata: Metadata = Metadata(), timeout: Duration? = .seconds(30)) {
    self.metadata = metadata
    self.timeout = timeout
  }
}
