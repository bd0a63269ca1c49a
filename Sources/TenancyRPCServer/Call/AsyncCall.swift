import Synchronization
public import TenancyRPCCore

/// What an asynchronous handler sees of its call.
public struct AsyncCall<Delegate: ServerDelegate>: Sendable {
  /// Who makes the call, as `ServerDelegate.callContext` has worked it out.
  public let context: Delegate.CallContext
  private let state: AsyncCallState

  init(_ state: AsyncCallState, by caller: Delegate.CallContext) {
    self.state = state
    context = caller
  }

  /// The connection that the call came by.
  public var connection: Connection { state.connection }
  /// What the client sent with the call.
  public var metadata: RPCMetadata { state.metadata }
  /// When the client stops waiting; nil: never. The handler's task is cancelled then.
  public var deadline: ContinuousClock.Instant? { state.deadline }
  /// The message of a unary call came in packed.
  public var requestWasCompressed: Bool { state.requestWasCompressed }
  /// What the response carries besides messages.
  public var response: ResponseControl { state.response }
  /// Ends the call, whoever holds it.
  public var handle: CallHandle { state.handle }
  /// Fires when the connection is about to end.
  public var drain: DrainSignal { state.drain }
}

/// A call that an asynchronous handler answers, without what is the embedder's.
struct AsyncCallState: Sendable {
  let connection: Connection
  let metadata: RPCMetadata
  let deadline: ContinuousClock.Instant?
  var requestWasCompressed = false
  var response = ResponseControl()
  var handle = CallHandle()
  var drain = DrainSignal()
}

/// What a handler says of its response besides the messages. Thread-safe.
///
/// Names of metadata are in lower case and not reserved, values printable ASCII, those of `-bin` names
/// base64: other entries are not sent. Together they take `maximumMetadataBytes` at most.
public final class ResponseControl: Sendable {
  /// Names, values and 32 for each entry, of either direction. What is beyond is left out.
  public static let maximumMetadataBytes = 8 * 1024

  struct State: Sendable {
    var headers = RPCMetadata()
    var trailers = RPCMetadata()
    var compresses = false
    var tag = CallTag()
  }

  private let state = Mutex(State())
  /// What the call came with, for observers.
  let received: RPCMetadata

  init(received: RPCMetadata = RPCMetadata()) { self.received = received }

  /// Adds to the initial metadata. Without effect once the first message is sent.
  public func addHeaders(_ metadata: RPCMetadata) {
    state.withLock { $0.headers.append(metadata) }
  }

  /// Adds to the trailing metadata, which is sent with the status.
  public func addTrailers(_ metadata: RPCMetadata) {
    state.withLock { $0.trailers.append(metadata) }
  }

  /// Offers to pack messages, where the client takes that and the protocol can (gRPC with gzip): the
  /// message of a unary response, those of a stream that are sent with `compress`.
  ///
  /// Do not use it where secrets and what a stranger chose are in one message: their sizes would tell
  /// the one from the other (CRIME).
  public func enableCompression() {
    state.withLock { $0.compresses = true }
  }

  /// Says what the call is about, for observers.
  public func tag(_ tag: CallTag) {
    state.withLock { $0.tag = tag }
  }

  /// Nil if none was set.
  var tag: CallTag? {
    let tag = state.withLock { $0.tag }
    return tag.isZero ? nil : tag
  }

  func snapshot() -> State { state.withLock { $0 } }
}
