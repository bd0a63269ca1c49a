import Synchronization
import TenancyRPC
import Testing

@Suite("Streaming calls of a channel", .timeLimit(.minutes(1)))
struct StreamingChannelTests {
  static func run(
    _ wire: WireProtocol = .grpc, _ body: (RPCChannel) async throws -> Void
  ) async throws {
    try await withEcho(StreamService.methods, wire: wire, body)
  }

  @Test(arguments: [0, 1, 200] as [UInt8], [WireProtocol.grpc, .ttrpc])
  func serverStreams(number: UInt8, wire: WireProtocol) async throws {
    let metadata = wire == .grpc ? ["1", "2"] : []
    try await Self.run(wire) { channel async throws in
      try await channel.serverStreaming(path: StreamService.each, message: [number]) { responses in
        #expect(try await responses.initialMetadata["x-first"] == Array(metadata.prefix(1)))
        var seen: [UInt8] = []
        for try await message in responses { seen += message }
        #expect(seen == Array(0..<number))
        #expect(responses.trailingMetadata["x-last"] == Array(metadata.suffix(1)))
        #expect(try await responses.next() == nil)
      }
    }
  }

  @Test(arguments: [0, 1, 300], [WireProtocol.grpc, .ttrpc])
  func clientStreams(number: Int, wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let answer = try await channel.clientStreaming(path: StreamService.count) { requests in
        for index in 0..<number { try await requests.send([UInt8](repeating: 1, count: index)) }
      }
      #expect(String(decoding: answer, as: UTF8.self) == "\(number * (number - 1) / 2) 0")
    }
  }

  /// Each message waits for the answer to the one before: nothing may be held back.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func streamsBothWaysInTurn(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      try await channel.bidirectional(path: StreamService.echo) { requests, responses in
        for index in 0..<200 {
          let message = [UInt8](repeating: UInt8(index), count: index * 97)
          try await requests.send(message)
          #expect(try await responses.next() == message)
        }
        requests.finish()
        #expect(try await responses.next() == nil)
      }
    }
  }

  /// Far more than any window or buffer holds, both ways at once.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func streamsBothWaysAtOnce(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let message = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try await channel.bidirectional(path: StreamService.echo) { requests, responses in
        try await withThrowingTaskGroup { group in
          group.addTask {
            for _ in 0..<200 { try await requests.send(message) }
            requests.finish()
          }
          var same = 0
          for try await answer in responses where answer == message { same += 1 }
          #expect(same == 200)
          try await group.waitForAll()
        }
      }
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func messagesLargerThanWindowsPass(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let message = (0..<3_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try await channel.bidirectional(path: StreamService.echo) { requests, responses in
        for _ in 0..<2 {
          try await requests.send(message)
          #expect(try await responses.next() == message)
        }
      }
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func severalTasksMaySendAndRead(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let total = try await channel.bidirectional(path: StreamService.echo) { requests, responses in
        try await withThrowingTaskGroup(of: Int.self) { group in
          for task in 0..<8 {
            group.addTask {
              for _ in 0..<50 { try await requests.send([UInt8](repeating: 1, count: task)) }
              return 0
            }
            group.addTask {
              var bytes = 0
              for _ in 0..<50 { bytes += try await responses.next()?.count ?? 1_000_000 }
              return bytes
            }
          }
          return try await group.reduce(0, +)
        }
      }
      #expect(total == 50 * 28)
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func failureComesAfterMessagesAndWithTrailers(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let seen = Mutex<[ResponseMetadata]>([])
      var options = RPCCallOptions()
      options.onMetadata = { metadata in seen.withLock { $0.append(metadata) } }
      var answers: [[UInt8]] = []
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.bidirectional(path: StreamService.fail, options: options) {
          requests, responses in
          for byte in 0..<2 as Range<UInt8> { try await requests.send([byte]) }
          for try await message in responses { answers.append(message) }
        }
      }
      #expect(error == EchoService.refusal(over: wire))
      #expect(answers == [[0], [1]])
      #expect(seen.withLock { $0.map { $0.trailing["x-why"] } } == [wire == .grpc ? ["two"] : []])
    }
  }

  /// The server's answer counts, though the client had more to say.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func serverMayAnswerEarly(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let answer = try await channel.clientStreaming(path: StreamService.early) { requests in
        while true { try await requests.send([UInt8](repeating: 1, count: 10_000)) }
      }
      #expect(answer == [9])
      #expect(try await channel.ask("/test.Echo/Inline", [1]) == [1])
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func sendingTooLateSaysWhy(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let message = try await channel.clientStreaming(path: StreamService.count) { requests in
        requests.finish()
        requests.finish()
        let error = await #expect(throws: RPCStatus.self) { try await requests.send([1]) }
        #expect(error?.code == .internalError)
      }
      #expect(message == Array("0 0".utf8))
    }
  }

  @Test func compressesBothWays() async throws {
    try await Self.run { channel async throws in
      let text = [UInt8](repeating: 65, count: 100_000)
      var options = RPCCallOptions()
      options.compressesRequests = true
      let answer = try await channel.clientStreaming(path: StreamService.count, options: options) {
        requests in
        try await requests.send(text)
        try await requests.send([1])  // Would grow.
      }
      #expect(String(decoding: answer, as: UTF8.self) == "100001 1")
      #expect(try await channel.ask("/test.Echo/Async", text, options) == text)
      try await channel.serverStreaming(path: StreamService.packed, message: text) {
        responses async throws in
        #expect(try await responses.next() == text)
        #expect(try await responses.next() == text)
        #expect(try await responses.next() == nil)
      }
    }
  }

  @Test func requestMessagePastLimitIsNotSent() async throws {
    var limits = ClientLimits()
    limits.maximumRequestMessageBytes = 100
    try await withEcho(StreamService.methods, client: limits) { channel async throws in
      let most = [UInt8](repeating: 1, count: 100)
      #expect(try await channel.ask("/test.Echo/Inline", most) == most)
      let found = await channel.refusal("/test.Echo/Inline", most + [1])
      #expect(found?.code == .resourceExhausted)
      let answer = try await channel.clientStreaming(path: StreamService.count) { requests in
        let error = await #expect(throws: RPCStatus.self) { try await requests.send(most + [1]) }
        #expect(error?.code == .resourceExhausted)
        try await requests.send(most)
      }
      #expect(String(decoding: answer, as: UTF8.self) == "100 0")
    }
  }

  /// What is packed counts by what it unpacks to.
  @Test func unpackedMessagePastLimitIsRefused() async throws {
    var limits = ClientLimits()
    limits.maximumMessageBytes = 1000
    try await withEcho(StreamService.methods, client: limits) { channel async throws in
      for (size, code) in [(1000, nil), (1001, RPCStatus.Code.resourceExhausted)] {
        var found: RPCStatus.Code?
        do {
          try await channel.serverStreaming(
            path: StreamService.packed, message: [UInt8](repeating: 65, count: size)
          ) { _ = try await $0.next() }
        } catch let error as RPCStatus {
          found = error.code
        }
        #expect(found == code)
      }
    }
  }
}

@Suite("Streaming calls that end early", .timeLimit(.minutes(1)))
struct StreamEndingTests {
  /// A method that tells when its call is over.
  static func watched(
    _ kind: CallKind
  ) -> (TestMethod, AsyncStream<String>) {
    let (events, report) = AsyncStream<String>.makeStream()
    let method = TestMethod.streaming(path: "/test.Watched/Call", kind: kind) {
      call, requests, responses in
      report.yield("began")
      do {
        try await responses.send([1])
        for try await _ in requests {}
        if kind == .serverStreaming { while true { try await responses.send([2]) } }
        report.yield("finished")
      } catch {
        report.yield("\((error as? RPCStatus)?.code ?? .unknown)")
        throw error
      }
    }
    return (method, events)
  }

  static let path = "/test.Watched/Call"

  @Test func leavingTheScopeCancels() async throws {
    let (method, events) = Self.watched(.serverStreaming)
    try await withEcho([method]) { channel async throws in
      let first = try await channel.serverStreaming(path: Self.path, message: []) {
        try await $0.next()
      }
      #expect(first == [1])
      var seen = events.makeAsyncIterator()
      #expect(await seen.next() == "began")
      #expect(await seen.next() == "CANCELLED")
    }
  }

  @Test func throwingInTheScopeCancels() async throws {
    struct Oops: Error {}
    let (method, events) = Self.watched(.clientStreaming)
    try await withEcho([method]) { channel async throws in
      await #expect(throws: Oops.self) {
        _ = try await channel.clientStreaming(path: Self.path) { requests in
          try await requests.send([1])
          var seen = events.makeAsyncIterator()
          #expect(await seen.next() == "began")
          throw Oops()
        }
      }
      var seen = events.makeAsyncIterator()
      #expect(await seen.next() == "CANCELLED")
    }
  }

  /// At each of the places where a task can wait.
  @Test(arguments: ["next", "headers", "send"], [WireProtocol.grpc, .ttrpc])
  func cancelledTaskEndsTheCall(place: String, wire: WireProtocol) async throws {
    let (waits, waiting) = AsyncStream<Void>.makeStream()
    let silent = TestMethod.streaming(path: Self.path, kind: .bidirectional) {
      call, requests, responses in
      waiting.yield()
      for await _ in AsyncStream<Void>.makeStream().stream {}  // Until cancelled.
    }
    try await withEcho([silent], wire: wire) { channel async throws in
      let call = Task {
        try await channel.bidirectional(path: Self.path) { requests, responses in
          try await requests.send([1])
          switch place {
          case "next": _ = try await responses.next()
          case "headers": _ = try await responses.initialMetadata
          default: while true { try await requests.send([UInt8](repeating: 1, count: 50_000)) }
          }
        }
      }
      var seen = waits.makeAsyncIterator()
      await seen.next()
      call.cancel()
      let error = await #expect(throws: RPCStatus.self) { try await call.value }
      #expect(error?.code == .cancelled)
      #expect(try await channel.ask("/test.Echo/Inline", [1]) == [1])
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func deadlineEndsStream(wire: WireProtocol) async throws {
    try await withEcho(StreamService.methods, wire: wire) { channel async throws in
      #expect(try await channel.ask("/test.Echo/Inline", [1]) == [1])
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.serverStreaming(
          path: StreamService.endless, message: [],
          options: RPCCallOptions(timeout: .milliseconds(300))
        ) { for try await _ in $0 {} }
      }
      #expect(error?.code == .deadlineExceeded)
    }
  }

  /// A caller that does not read holds its own call up, and no other of the connection.
  @Test func slowReaderIsBoundedAndDisturbsNobody() async throws {
    let sent = Mutex(0)
    let method = TestMethod.streaming(path: Self.path, kind: .serverStreaming) {
      call, requests, responses in
      let message = [UInt8](repeating: 7, count: 64 * 1024)
      while true {
        try await responses.send(message)
        sent.withLock { $0 += message.count }
      }
    }
    let limits = ClientLimits()
    try await withEcho([method], client: limits) { channel async throws in
      try await channel.serverStreaming(path: Self.path, message: []) { responses in
        _ = try await responses.next()
        // The server stands still when the windows are full.
        var before = -1
        while before != sent.withLock({ $0 }) {
          before = sent.withLock { $0 }
          try await Task.sleep(for: .milliseconds(100))
        }
        #expect(before > 0)
        // The window, what had been taken of it, and what the server keeps of its own.
        #expect(before <= limits.streamWindowBytes * 2)
        for _ in 0..<100 { #expect(try await channel.ask("/test.Echo/Async", [1]) == [1]) }
        // It goes on when the caller does.
        for _ in 0..<100 { #expect(try await responses.next()?.count == 64 * 1024) }
      }
    }
  }
}
