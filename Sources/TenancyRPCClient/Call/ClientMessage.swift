internal import TenancyRPCCore

/// One request message on its way to a protocol engine.
struct OutboundMessage: Sendable {
  let bytes: [UInt8]
  /// `bytes` are the message under the call's encoding.
  var isCompressed = false

  /// What it takes of a call's send buffer: its bytes and what keeping them costs.
  var cost: Int { bytes.count + 64 }
}

/// One response message as an engine found it.
struct InboundMessage: Sendable {
  /// Still encoded where `isCompressed`: what takes memory is made when the caller wants it.
  let bytes: [UInt8]
  let isCompressed: Bool
  /// What it takes of the stream's flow-control window until the caller has it.
  let wireBytes: Int
}

/// How one attempt at a call ended.
struct StreamEnd: Sendable {
  /// Whether the server can have acted on the call (gRFC A6, "Transparent Retries").
  enum Reach: Sendable {
    /// Nothing left this side.
    case neverSent
    /// The server says that it did not look at the call.
    case refused
    /// The server may have acted.
    case processed
  }

  /// `ok` if the call succeeded.
  let status: RPCStatus
  var trailers = RPCMetadata()
  var reach = Reach.processed
}
