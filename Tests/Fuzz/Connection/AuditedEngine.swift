@testable import TenancyRPCServer

/// An engine whose books can be looked at.
protocol AuditedEngine: ServerEngine {
  /// A frame has begun and is not whole.
  var isInputPartial: Bool { get }
  /// What must be true between any two bytes.
  func audit() throws
  /// What must be true when all handlers have returned that can, the peer has made room for every
  /// answer, and all times have passed: calls are open only if the peer has more to say.
  func auditSettled() throws
  /// The numbers of the open calls.
  var openNumbers: Set<UInt32> { get }
}

private let watch = "/grpc.health.v1.Health/Watch"

extension MethodTable {
  /// Whether a method's handler may go on for ever.
  fileprivate func isEndless(_ index: Int32) -> Bool {
    methods.indices.contains(Int(index)) && methods[Int(index)].path == watch
  }
}

extension HTTP2ServerSession: AuditedEngine {
  var isInputPartial: Bool { frames.isPartial }

  func audit() throws {
    try check(bufferedBytes >= 0, "buffered \(bufferedBytes)")
    try check(waitingReplyBytes >= 0, "waiting \(waitingReplyBytes)")
    try check(streams.count <= limits.maximumConcurrentStreams, "\(streams.count) streams")
    guard streams.count == 0 else { return }
    try checkEqual(bufferedBytes, 0, "request bytes of no call")
    try checkEqual(waitingReplyBytes, 0, "response bytes of no call")
    try check(!hasReady, "calls to serve of none that is open")
  }

  func auditSettled() throws {
    try audit()
    var stuck: [String] = []
    streams.forEach { stream in
      let goesOn = stream.headersDone && !stream.requestDone && methods.clientStreams(stream.method)
      if !stream.awaitsResponse || !goesOn && !methods.isEndless(stream.method) {
        stuck.append(
          "\(stream.id) method \(stream.method) done \(stream.requestDone) "
            + "awaits \(stream.awaitsResponse) refusal \(String(describing: stream.refusal))")
      }
    }
    try check(stuck.isEmpty, "calls that nobody ends: \(stuck)")
  }

  var openNumbers: Set<UInt32> {
    var numbers: Set<UInt32> = []
    streams.forEach { numbers.insert(UInt32($0.id)) }
    return numbers
  }
}

extension TTRPCServerSession: AuditedEngine {
  var isInputPartial: Bool { reader.isPartial }

  func audit() throws {
    try check(bufferedBytes >= 0, "buffered \(bufferedBytes)")
    try check(streams.count <= limits.maximumConcurrentStreams, "\(streams.count) streams")
    try checkEqual(open.count, streams.count, "calls by number")
    if streams.count == 0 { try checkEqual(bufferedBytes, 0, "request bytes of no call") }
  }

  func auditSettled() throws {
    try audit()
    var stuck: [String] = []
    streams.forEach { stream in
      if stream.requestEnded, !methods.isEndless(stream.method) {
        stuck.append("\(stream.id) method \(stream.method)")
      }
    }
    try check(stuck.isEmpty, "calls that nobody ends: \(stuck)")
    try check(stall != .waiting, "the connection is not read")
  }

  var openNumbers: Set<UInt32> { Set(open.keys) }
}
