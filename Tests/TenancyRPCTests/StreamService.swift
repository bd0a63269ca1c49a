import TenancyRPC

/// Methods of the streaming kinds, for clients to call.
enum StreamService {
  static let each = "/test.Stream/Each"
  static let count = "/test.Stream/Count"
  static let echo = "/test.Stream/Echo"
  static let early = "/test.Stream/Early"
  static let fail = "/test.Stream/FailAfterTwo"
  static let packed = "/test.Stream/Packed"
  static let endless = "/test.Stream/Endless"

  static let methods: [TestMethod] = [
    // As many messages as the request's byte says, with metadata around them.
    .streaming(path: each, kind: .serverStreaming) { call, requests, responses in
      let number = try await requests.next()?.bytes.first ?? 0
      responses.sendHeaders(["x-first": "1"])
      for index in 0..<number { try await responses.send([index]) }
      responses.addTrailers(["x-last": "2"])
    },
    .streaming(path: count, kind: .clientStreaming) { call, requests, responses in
      var total = 0
      var packed = 0
      for try await message in requests {
        total += message.bytes.count
        if message.wasCompressed { packed += 1 }
      }
      try await responses.send(Array("\(total) \(packed)".utf8))
    },
    .streaming(path: echo, kind: .bidirectional) { call, requests, responses in
      for try await message in requests { try await responses.send(message.bytes) }
    },
    // Answers before it has read anything.
    .streaming(path: early, kind: .clientStreaming) { call, requests, responses in
      try await responses.send([9])
    },
    .streaming(path: fail, kind: .bidirectional) { call, requests, responses in
      for _ in 0..<2 {
        if let message = try await requests.next() { try await responses.send(message.bytes) }
      }
      responses.addTrailers(["x-why": "two"])
      throw EchoService.refusal
    },
    .streaming(path: packed, kind: .serverStreaming) { call, requests, responses in
      let message = try await requests.next()?.bytes ?? []
      responses.control.enableCompression()
      try await responses.send(message, compress: true)
      try await responses.send(message)
    },
    // Messages of 64 KiB until the client goes away; tells how many were taken.
    .streaming(path: endless, kind: .serverStreaming) { call, requests, responses in
      let message = [UInt8](repeating: 7, count: 64 * 1024)
      while true { try await responses.send(message) }
    },
  ]
}
