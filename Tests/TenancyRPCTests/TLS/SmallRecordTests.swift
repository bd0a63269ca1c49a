import CTenancyOpenSSL
import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyCrypto
@testable import TenancyLoop

@Suite("Records that hold next to nothing, or are not whole")
struct SmallRecordTests {
  private let pki: TestPKI

  init() throws { pki = try TestPKI() }

  private func client(_ change: (inout TLSLimits) -> Void) throws -> RawTLSClient {
    var files = try pki.save(pki.issue(.server), "server")
    change(&files.limits)
    return try RawTLSClient(
      TLSContext(.server, files), pki.save(pki.issue(.client()), "client"))
  }

  /// As many as allowed, and the connection goes on; one more, and it ends.
  @Test(arguments: [(1, 8), (8, 1)])
  func smallOnesAreCounted(_ size: Int, _ together: Int) throws {
    let client = try client {
      $0.maximumSmallRecordBurst = 16
      $0.smallRecordsPerSecond = 1
    }
    let small = [UInt8](repeating: 7, count: size)
    for _ in 0..<16 / together {
      for _ in 0..<together { client.send(small) }
      #expect(try client.serverRead().count == size * together)
    }
    client.send(small)
    let error = #expect(throws: TLSError.self) { try client.serverRead() }
    #expect(error?.description == "too many records that hold next to nothing")
  }

  /// What can hold a frame's header is not small, however little room there is to read it into.
  @Test func othersAreNot() throws {
    let client = try client {
      $0.maximumSmallRecordBurst = 1
      $0.smallRecordsPerSecond = 1
    }
    for count in [9, 513, 520, 16_000, 16_384] {
      for _ in 0..<10 { client.send([UInt8](repeating: 7, count: count)) }
      #expect(try client.serverRead().count == 10 * count)
    }
  }

  /// Whoever leaves in the middle of a record leaves nothing behind.
  @Test func anUnfinishedRecordGoesWithItsConnection() throws {
    let context = try TLSContext(.server, pki.save(pki.issue(.server), "server"))
    let client = try TLSEngine(TLSContext(.client, pki.save(pki.issue(.client()), "client")))
    weak var left: TLSHandler?
    do {
      let channel = EmbeddedChannel()
      let timers = TimerQueue(loop: channel.eventLoop)
      let handler = try TLSHandler(
        TLSEngine(context), timers: timers, recordTimeout: .seconds(5)
      ) { _, _ in true }
      left = handler
      try channel.pipeline.syncOperations.addHandler(handler)
      try channel.connect(to: SocketAddress(unixDomainSocketPath: "/nowhere")).wait()
      var isDone = false
      while !isDone {
        if case .done = try client.handshake() { isDone = true }
        if let bytes = client.takeOutput() { try channel.writeInbound(bytes) }
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { client.receive(bytes) }
      }
      try [UInt8](repeating: 7, count: 100).withUnsafeBytes { try client.write($0) }
      let record = try #require(client.takeOutput())
      #expect(timers.count == 0)
      try channel.writeInbound(record.getSlice(at: record.readerIndex, length: 20))
      #expect(timers.count == 1)
      _ = try channel.finish(acceptAlreadyClosed: true)
      #expect(timers.count == 0)
    }
    #expect(left == nil)
  }

  /// A record in two parts: in between OpenSSL keeps its buffers, and that is how it is seen.
  @Test(arguments: [1, 4, 5, 6, 20, 100])
  func knowsAnUnfinishedRecord(_ first: Int) throws {
    let pair = try EnginePair(
      TLSContext(.server, pki.save(pki.issue(.server), "server")),
      TLSContext(.client, pki.save(pki.issue(.client()), "client")))
    _ = try pair.serverSession
    var plain = ByteBuffer()
    #expect(pair.server.releaseBuffers())
    try [UInt8](repeating: 7, count: 100).withUnsafeBytes { try pair.client.write($0) }
    var record = try #require(pair.client.takeOutput())
    let records = pair.server.recordsRead
    let beginning = record.readSlice(length: first)
    pair.server.receive(try #require(beginning))
    _ = try pair.server.read(into: &plain)
    #expect(!pair.server.releaseBuffers())
    #expect(pair.server.recordsRead == records)
    pair.server.receive(record)
    _ = try pair.server.read(into: &plain)
    #expect(pair.server.releaseBuffers())
    #expect(pair.server.recordsRead == records + 1)
    #expect(plain.readableBytes == 100)
  }
}
