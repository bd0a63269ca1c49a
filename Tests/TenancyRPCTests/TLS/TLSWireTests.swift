import CTenancyOpenSSL
import NIOCore
import Testing

@testable import TenancyCrypto

@Suite("TLS ciphertext between OpenSSL and us")
struct TLSWireTests {
  private let wire = TLSWire()

  private func read(_ bio: OpaquePointer, atMost limit: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = BIO_read(bio, &bytes, Int32(limit))
    return count < 0 ? nil : Array(bytes.prefix(Int(count)))
  }

  @Test func openSSLReadsWhatIsReceivedInOrder() throws {
    let bio = try #require(wire.makeBIO())
    defer { BIO_free(bio) }
    wire.receive(ByteBuffer(bytes: [1, 2, 3]))
    #expect(read(bio, atMost: 2) == [1, 2])
    // Behind what has not been read.
    let more = ByteBuffer(bytes: [4, 5])
    wire.receive(more)
    #expect(wire.pendingInput == 3)
    #expect(read(bio, atMost: 100) == [3, 4, 5])
    #expect(Array(more.readableBytesView) == [4, 5])
    #expect(wire.pendingInput == 0)
  }

  /// No input is not the end of it: OpenSSL has to ask for more.
  @Test func nothingToReadIsNotTheEnd() throws {
    let bio = try #require(wire.makeBIO())
    defer { BIO_free(bio) }
    for _ in 0..<2 {
      #expect(read(bio, atMost: 1) == nil)
      #expect(BIO_test_flags(bio, BIO_FLAGS_SHOULD_RETRY | BIO_FLAGS_READ) != 0)
      #expect(BIO_ctrl(bio, BIO_CTRL_EOF, 0, nil) == 0)
      wire.receive(ByteBuffer())
    }
    wire.receive(ByteBuffer(bytes: [7]))
    #expect(read(bio, atMost: 1) == [7])
    #expect(BIO_test_flags(bio, BIO_FLAGS_SHOULD_RETRY) == 0)
  }

  @Test func outputIsGatheredUntilItIsTaken() throws {
    let bio = try #require(wire.makeBIO())
    defer { BIO_free(bio) }
    #expect(wire.takeOutput() == nil)
    let large = [UInt8](repeating: 9, count: 100_000)
    #expect(BIO_write(bio, [1, 2] as [UInt8], 2) == 2)
    #expect(BIO_write(bio, large, 100_000) == 100_000)
    #expect(BIO_ctrl(bio, BIO_CTRL_FLUSH, 0, nil) == 1)
    #expect(wire.hasOutput)
    let output = try #require(wire.takeOutput())
    #expect(Array(output.readableBytesView) == [1, 2] + large)
    #expect(!wire.hasOutput)
  }
}

@Suite("TLS records")
struct TLSRecordTests {
  private let server: TLSContext
  private let client: TLSContext

  init() throws {
    let pki = try TestPKI()
    server = try TLSContext(.server, pki.save(pki.issue(.server), "server"))
    client = try TLSContext(.client, pki.save(pki.issue(.client()), "client"))
  }

  private func pair() throws -> EnginePair {
    let pair = try EnginePair(server, client, serverName: "localhost")
    #expect(try pair.serverSession.peer != nil)
    return pair
  }

  private func records(_ engine: TLSEngine, _ messages: [UInt8]...) throws -> [UInt8] {
    for message in messages {
      let written = Result { try message.withUnsafeBytes { try engine.write($0) } }
      try written.get()
    }
    return engine.takeOutput().map { Array($0.readableBytesView) } ?? []
  }

  private func read(_ engine: TLSEngine) throws -> [UInt8] {
    var plain = ByteBuffer()
    _ = try engine.read(into: &plain)
    return Array(plain.readableBytesView)
  }

  /// Gives one end what the other has to say, in pieces of `size` bytes, each handled as it comes.
  private func handshake(pieces size: Int) throws -> Bool {
    let ends = [try TLSEngine(client, serverName: "localhost"), try TLSEngine(server)]
    var isDone = [false, false]
    _ = try ends[0].handshake()
    for turn in 0..<6 {
      let (from, to) = (turn % 2, 1 - turn % 2)
      let flight = ends[from].takeOutput().map { Array($0.readableBytesView) } ?? []
      for start in stride(from: 0, to: flight.count, by: size) {
        let piece = flight[start..<min(start + size, flight.count)]
        ends[to].receive(ByteBuffer(bytes: piece))
        if isDone[to] {
          #expect(try read(ends[to]).isEmpty)
        } else if case .done = try ends[to].handshake() {
          isDone[to] = true
        }
        ends[to].releaseBuffers()
      }
    }
    return isDone == [true, true]
  }

  @Test(arguments: [1, 2, 3, 5, 7, 64, 1000, 100_000])
  func aHandshakeComesInPieces(_ size: Int) throws {
    #expect(try handshake(pieces: size))
  }

  @Test func aRecordIsSplitAtEveryByte() throws {
    let pair = try pair()
    let message = (0..<40).map { UInt8($0) }
    for split in 0..<(message.count + 22) {
      let record = try records(pair.client, message)
      #expect(record.count == message.count + 22)
      pair.server.receive(ByteBuffer(bytes: record[..<split]))
      #expect(try read(pair.server) == [])
      // A part of a record is kept.
      pair.server.releaseBuffers()
      pair.server.receive(ByteBuffer(bytes: record[split...]))
      #expect(try read(pair.server) == message)
      pair.server.releaseBuffers()
    }
  }

  @Test func manyRecordsComeAtOnce() throws {
    let pair = try pair()
    let large = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    let bytes = try records(pair.client, [1], large, [2, 3])
    pair.server.receive(ByteBuffer(bytes: bytes))
    #expect(try read(pair.server) == [1] + large + [2, 3])
    // The other way, in two parts that are read together.
    let answer = try records(pair.server, large)
    pair.client.receive(ByteBuffer(bytes: answer.prefix(70_001)))
    pair.client.receive(ByteBuffer(bytes: answer.dropFirst(70_001)))
    #expect(try read(pair.client) == large)
  }

  @Test func aDamagedRecordFails() throws {
    let pair = try pair()
    var record = try records(pair.client, [1, 2, 3])
    record[record.count - 1] ^= 1
    pair.server.receive(ByteBuffer(bytes: record))
    #expect(throws: TLSError.self) { try read(pair.server) }
    pair.server.releaseBuffers()
  }
}
