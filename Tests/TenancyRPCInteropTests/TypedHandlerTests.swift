import TenancyRPCInterop
import TenancyRPCServices
import TenancyRPC
import Testing

/// What typed handlers make of bytes that are not theirs, and health by its generated stub.
@Suite struct TypedHandlerTests {
  @Test func lookup() async throws {
    try await withInterop { _, channel in
      let entry = try await Bench.LookupClient(channel).get(.init(key: "key-00042"))
      #expect(
        entry == Bench.Entry(name: "entries/00042", value: "value of entry 00042", revision: 43))
    }
  }

  /// For each kind of handler, and with what the delegate says of it.
  @Test(arguments: [
    "EmptyCall", "UnaryCall", "StreamingOutputCall", "StreamingInputCall", "FullDuplexCall",
  ])
  func bytesThatAreNoMessageAreInvalid(_ method: String) async throws {
    try await withInterop { _, channel in
      let path = "/grpc.testing.TestService/" + method
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.bidirectional(path: path) { requests, answers in
          try await requests.send([0xFF])
          requests.finish()
          while try await answers.next() != nil {}
        }
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.details == Array("described".utf8))
    }
  }

  @Test func textThatIsNoneIsInvalidAndNamed() async throws {
    try await withInterop { _, channel in
      // `response_status.message`, with a byte that is not UTF-8.
      let request: [UInt8] = [0x3A, 3, 0x12, 1, 0xFF]
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.unary(path: "/grpc.testing.TestService/UnaryCall", message: request)
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message == "response_status.message: is not valid UTF-8")
    }
  }

  // MARK: Health

  @Test func aWatcherHearsOfChanges() async throws {
    try await withInterop { health, channel in
      let client = GRPCHealth.HealthClient(channel)
      let service = GRPCTesting.TestService.name
      try await client.watch(.init(service: service)) { answers async throws in
        typealias Answer = GRPCHealth.HealthCheckResponse
        #expect(try await answers.next() == Answer(status: .serving))
        health.set(.notServing, for: service)
        #expect(try await answers.next() == Answer(status: .notServing))
        #expect(try await client.check(.init(service: service)) == Answer(status: .notServing))
        #expect(try await client.check(.init()) == Answer(status: .serving))
        health.set(.serving, for: service)
        #expect(try await answers.next() == Answer(status: .serving))
      }
    }
  }

  @Test func moreServicesThanCanBeListed() async throws {
    try await withInterop { health, channel in
      let client = GRPCHealth.HealthClient(channel)
      for number in 0..<96 { health.set(.serving, for: "s\(number)") }
      let listed = try await client.list(.init()).statuses
      #expect(listed.count == 100)
      health.set(.serving, for: "one more")
      let error = await #expect(throws: RPCStatus.self) { try await client.list(.init()) }
      #expect(error?.code == .resourceExhausted)
    }
  }
}
