internal import NIOCore
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// What frames mean.
extension TTRPCServerSession {
  /// Acts upon a frame.
  ///
  /// - Returns: a call to serve or to refuse, if it comes to that.
  func take(_ event: TTRPCFrameReader.Event) -> TTRPCStream? {
    switch event {
    case .frame(let header, let payload):
      defer { if stall != .waiting { endStall() } }
      guard header.stream & 1 == 1 else {
        return breach(header, "the numbers of a client's streams are odd")
      }
      if header.type == .request { return request(header, payload) }
      if header.type == .data { return data(header, payload) }
      // Kept for extensions.
      countUseless()
      return nil
    case .tooLarge(let header):
      return refuse(
        header,
        RPCStatus(
          .resourceExhausted, "the frame is larger than \(TTRPCFrameHeader.maximumPayload) bytes"))
    case .broken(let header):
      fail("a frame of \(header.payloadCount) bytes: this is not ttrpc")
      return refuse(
        header, RPCStatus(.resourceExhausted, "the frame is too large for the protocol"))
    }
  }

  // MARK: Requests

  private func request(
    _ header: TTRPCFrameHeader, _ payload: UnsafeRawBufferPointer
  ) -> TTRPCStream? {
    guard header.stream > lastID else {
      return breach(header, "the numbers of streams must grow")
    }
    lastID = header.stream
    let request: TTRPCRequest
    do {
      request = try TTRPCRequest(reading: payload)
    } catch {
      return breach(header, "the frame does not hold a ttrpc.Request")
    }
    if !headers.take(request.metadataBytes) { fail("too many bytes of metadata") }
    let method = methods.find(service: request.service, method: request.method)
    if let status = refusal(header, request, method) {
      let refused = refuse(header, status)
      // For observers, which are told before the next frame is read.
      if refused === transient { transient.request = request }
      return refused
    }
    let stream: TTRPCStream
    if isAnsweredAtOnce(request, method) {
      stream = transient
      stream.prepare(id: header.stream, requestEnded: true)
    } else {
      guard streams.count < limits.maximumConcurrentStreams else {
        return refuse(
          header, RPCStatus(.resourceExhausted, "this connection has too many calls in flight"))
      }
      guard hasRoom(request.payload.count) else {
        return refuse(header, noRoom)
      }
      stream = openStream(header)
      starting = stream
      if !methods.clientStreams(method) { count(stream, request.payload.count) }
    }
    stream.method = method
    if observation.isObserved {
      observation.begin(stream)
      stream.tally.requestBytes = request.payload.count
      if !request.payload.isEmpty || !methods.clientStreams(method) {
        stream.tally.requestMessages = 1
      }
    }
    stream.request = request
    if request.timeoutNanoseconds > 0 {
      stream.timeout = UInt64(request.timeoutNanoseconds)
      stream.startClock(at: arrival ?? timers.turnTime)
    }
    return stream
  }

  /// Whether the call is over before the next frame is read: it can be put off only for what its metadata say.
  @inline(__always)
  func isAnsweredAtOnce(_ request: TTRPCRequest, _ method: Int32) -> Bool {
    switch methods.answering(method) {
    case .atOnce: true
    case .atOnceOrPutOff: request.metadataCount == 0
    case .later: false
    }
  }

  /// Why a request can't be served, if so.
  @inline(__always)
  private func refusal(
    _ header: TTRPCFrameHeader, _ request: TTRPCRequest, _ method: Int32
  ) -> RPCStatus? {
    if method < 0 {
      return TTRPCRequest.isUTF8(request.service) && TTRPCRequest.isUTF8(request.method)
        ? RPCStatus(.unimplemented, "unknown method")
        : RPCStatus(.invalidArgument, "the frame does not hold a ttrpc.Request")
    }
    if header.flags.contains(.remoteOpen),
      header.flags.contains(.remoteClosed) || !methods.clientStreams(method)
    {
      return RPCStatus(.invalidArgument, "the flags do not fit the method")
    }
    if request.metadataBytes > limits.maximumHeaderListBytes {
      return RPCStatus(.resourceExhausted, "the metadata is too large")
    }
    if request.payload.count > limits.maximumMessageBytes {
      return MessageReader.tooLarge(limits.maximumMessageBytes)
    }
    if request.timeoutNanoseconds < 0 {
      return RPCStatus(.deadlineExceeded, "the deadline had passed on arrival")
    }
    if isDraining { return RPCStatus(.unavailable, "the server is going away") }
    return nil
  }

  private func openStream(_ header: TTRPCFrameHeader) -> TTRPCStream {
    let stream = streams.open { TTRPCStream(output: output) }
    stream.prepare(id: header.stream, requestEnded: !header.flags.contains(.remoteOpen))
    stream.isOpen = true
    open[header.stream] = stream
    setLatest(stream)
    return stream
  }

  // MARK: Data

  private func data(
    _ header: TTRPCFrameHeader, _ payload: UnsafeRawBufferPointer
  ) -> TTRPCStream? {
    guard let stream = find(header.stream) else {
      guard unfinished.contains(header.stream) else {
        return breach(header, "the stream is not open")
      }
      // Sent before the client can have read that its call is over.
      if header.flags.contains(.remoteClosed) { unfinished.remove(header.stream) }
      return nil
    }
    guard !stream.requestEnded else {
      return breach(header, "the client had closed its side of the stream")
    }
    if header.flags.contains(.noData) {
      guard payload.isEmpty else {
        return breach(header, "a data frame with and without data")
      }
      if !header.flags.contains(.remoteClosed) { countUseless() }
    } else {
      guard payload.count <= limits.maximumMessageBytes else {
        return refuse(header, MessageReader.tooLarge(limits.maximumMessageBytes))
      }
      let cost = Self.cost(payload.count)
      guard hasRoom(cost, for: stream) else { return wait(header, stream) }
      count(stream, cost)
      stream.tally.requestBytes &+= payload.count
      stream.tally.requestMessages &+= 1
      incoming.append(FramedMessage(bytes: Array(payload)))
    }
    if header.flags.contains(.remoteClosed) {
      stream.requestEnded = true
      deliver()
      stream.pipe?.endRequests()
    }
    return nil
  }

  @inline(__always)
  private func find(_ id: UInt32) -> TTRPCStream? {
    if let latest, latest.id == id { return latest }
    guard let stream = open[id] else { return nil }
    setLatest(stream)
    return stream
  }

  private func setLatest(_ stream: TTRPCStream) {
    deliver()
    latest = stream
  }

  /// Places for messages that are kept between reads.
  private static let idleIncoming = 256

  /// Gives the handler of the latest call the messages that have come for it.
  @inline(__always)
  func deliver() {
    guard !incoming.isEmpty else { return }
    latest?.pipe?.deliver(incoming)
    incoming.removeAll(keepingCapacity: incoming.count <= Self.idleIncoming)
  }

  // MARK: Refusals

  /// The frame breaks the protocol.
  private func breach(_ header: TTRPCFrameHeader, _ message: String) -> TTRPCStream? {
    countUseless()
    return refuse(header, RPCStatus(.invalidArgument, message))
  }

  /// The frame is answered with `status`, which ends the call that it is about, if it is open.
  func refuse(_ header: TTRPCFrameHeader, _ status: RPCStatus) -> TTRPCStream? {
    if let stream = find(header.stream) {
      stream.refusal = .status(status)
      return stream
    }
    transient.prepare(
      id: header.stream,
      requestEnded: header.type != .request || !header.flags.contains(.remoteOpen))
    transient.refusal = .status(status)
    if header.type == .request { observation.begin(transient) }
    return transient
  }

  /// Counts a frame that asks for nothing.
  private func countUseless() {
    if !uselessFrames.take() { fail("too many frames that ask for nothing") }
  }

  // MARK: Stalls

  /// There is no room for a message: nothing more is read, for a while.
  private func wait(_ header: TTRPCFrameHeader, _ stream: TTRPCStream) -> TTRPCStream? {
    if stall == .expired {
      return refuse(
        header,
        RPCStatus(.resourceExhausted, "the messages of this call are not taken fast enough"))
    }
    reader.putBack()
    if stall == .none {
      stallOwner = stream.owner
      timers.schedule(stallTimer, in: TimeAmount(limits.maximumHandlerStall))
    }
    stall = .waiting
    return nil
  }

  /// Something has changed that a waiting frame may have waited for.
  func retryStalled() {
    isRecounted = false
    if stall == .waiting { stall = .retry }
  }

  func stallExpired() {
    isRecounted = false
    stall = .expired
    stallOwner?.engineHasNews()
  }

  private func endStall() {
    guard stall != .none else { return }
    stall = .none
    timers.cancel(stallTimer)
  }
}
