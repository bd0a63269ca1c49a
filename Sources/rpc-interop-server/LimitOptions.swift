import ArgumentParser
import RPC

/// The runtime's limits, a flag for each: `maximumMessageBytes` is `--max-message-bytes`.
struct LimitOptions: ParsableArguments {
  @Option(help: "Calls in flight at once on a connection.")
  var maxConcurrentStreams: Int?
  @Option(help: "Bytes of one request message.")
  var maxMessageBytes: Int?
  @Option(help: "Bytes of request messages held for all calls of a connection.")
  var maxBufferedBytes: Int?
  @Option(help: "Bytes of a request's headers.")
  var maxHeaderListBytes: Int?
  @Option(help: "Bytes to be sent that wait in a connection.")
  var maxOutputBytes: Int?
  @Option(help: "Bytes of responses that a connection's peer has not taken.")
  var maxWaitingReplyBytes: Int?
  @Option(help: "Calls that a peer may reset at once.")
  var maxResetBurst: Int?
  @Option(help: "Calls that a peer may reset for each second after that.")
  var resetsPerSecond: Int?
  @Option(help: "CONTINUATION frames of one header block.")
  var maxContinuations: Int?

  func validate() throws {
    let numbers = [
      maxConcurrentStreams, maxMessageBytes, maxBufferedBytes, maxHeaderListBytes, maxOutputBytes,
      maxWaitingReplyBytes, maxResetBurst, resetsPerSecond, maxContinuations,
    ]
    guard numbers.allSatisfy({ $0 ?? 1 > 0 }) else {
      throw ValidationError("limits are greater than 0")
    }
  }

  var limits: ServerLimits {
    var limits = ServerLimits()
    set(&limits.maximumConcurrentStreams, maxConcurrentStreams)
    set(&limits.maximumMessageBytes, maxMessageBytes)
    set(&limits.maximumBufferedBytes, maxBufferedBytes)
    set(&limits.maximumHeaderListBytes, maxHeaderListBytes)
    set(&limits.maximumOutputBytes, maxOutputBytes)
    set(&limits.maximumWaitingReplyBytes, maxWaitingReplyBytes)
    set(&limits.maximumResetBurst, maxResetBurst)
    set(&limits.resetsPerSecond, resetsPerSecond)
    set(&limits.maximumContinuations, maxContinuations)
    return limits
  }

  private func set<Value>(_ limit: inout Value, _ option: Value?) {
    if let option { limit = option }
  }
}
