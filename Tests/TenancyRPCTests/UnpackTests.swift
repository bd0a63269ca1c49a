import NIOCore
import Testing

@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

@Suite("What peers make us unpack")
struct UnpackTests {
  private static let start = NIODeadline.now()
  private static let kibibyte = 1024

  /// In KiB: 64 for a connection, 128 for a peer, 256 for all; the largest message has 1.
  private static func limits(_ change: (inout ServerLimits) -> Void = { _ in }) -> ServerLimits {
    var limits = ServerLimits()
    limits.maximumMessageBytes = kibibyte
    limits.maximumUnpackedBurst = 64 * kibibyte
    limits.unpackedBytesPerSecond = 64 * kibibyte
    limits.maximumUnpackedBurstPerPeer = 128 * kibibyte
    limits.unpackedBytesPerSecondPerPeer = 128 * kibibyte
    limits.maximumTotalUnpackedBurst = 256 * kibibyte
    limits.totalUnpackedBytesPerSecond = 256 * kibibyte
    change(&limits)
    return limits
  }

  private static func meter(
    _ budget: UnpackBudget, _ limits: ServerLimits, peer: UInt32 = 1,
    _ overdrafts: Overdrafts? = nil
  ) -> UnpackMeter {
    UnpackMeter(budget, .user(peer), limits, overdrafts ?? Overdrafts(limits))
  }

  /// KiB that a meter lets pass, one at a time.
  private static func spend(
    _ meter: UnpackMeter, _ density: UnpackBudget.Density = .plain, atMost most: Int = 1000,
    at seconds: Int64 = 0
  ) -> Int {
    (0..<most).prefix { _ in
      do throws(RPCStatus) {
        try meter.pay(kibibyte, density, at: start + .seconds(seconds))
        return true
      } catch {
        return false
      }
    }.count
  }

  @Test func aConnection() throws {
    let limits = Self.limits()
    let meter = Self.meter(UnpackBudget(limits), limits)
    #expect(Self.spend(meter) == 64)
    #expect(Self.spend(meter, at: 1) == 64)
    let status = #expect(throws: RPCStatus.self) {
      try meter.pay(1, .plain, at: Self.start + .seconds(1))
    }
    #expect(status?.code == .resourceExhausted && status?.retryAfter == limits.retryDelay)
  }

  /// All connections of a peer: what is common goes first, and then each has its part of the rest.
  @Test func aPeer() {
    let limits = Self.limits()
    let budget = UnpackBudget(limits)
    let meters = (0..<4).map { _ in Self.meter(budget, limits) }
    for meter in meters { #expect(Self.spend(meter, atMost: 1) == 1) }
    // Of 64 that are common 60 are left; a fourth of the other 64 is 16, and no connection has more than 64.
    #expect(meters.map { Self.spend($0) } == [63, 16, 16, 16])
    #expect(meters.map { Self.spend($0, at: 1) } == [64, 16, 16, 16])
  }

  /// The one who comes when others have used up what is common is still served.
  @Test func whoComesLateHasAPart() {
    let limits = Self.limits()
    let budget = UnpackBudget(limits)
    let greedy = (0..<8).map { _ in Self.meter(budget, limits) }
    for meter in greedy { _ = Self.spend(meter) }
    for meter in greedy { #expect(Self.spend(meter) == 0) }
    let late = Self.meter(budget, limits)
    // What is kept is refilled for all of them alike.
    #expect(greedy.map { Self.spend($0, at: 1) }.reduce(0, +) > 64)
    #expect(Self.spend(late, at: 1) >= 64 / 9)
  }

  @Test func allPeers() {
    let limits = Self.limits()
    let budget = UnpackBudget(limits)
    let peers = (0..<20).map { Self.meter(budget, limits, peer: $0) }
    for peer in peers { #expect(Self.spend(peer, atMost: 1) == 1) }
    let spent: [Int] = peers.map { Self.spend($0) }
    // 128 are common, of which 108 are left; of the other 128 each of 20 has 6, as whole KiB.
    #expect(spent.prefix(2).reduce(0, +) > 108)
    #expect(Array(spent.suffix(17)) == [Int](repeating: 6, count: 17))
    let total: Int = spent.reduce(20, +)
    #expect(total <= 256)
  }

  /// What nobody could send as it is has a budget of its own: a quarter.
  @Test func denseMessages() {
    let limits = Self.limits()
    let meter = Self.meter(UnpackBudget(limits), limits)
    #expect(Self.spend(meter, .dense) == 16)
    #expect(Self.spend(meter, .plain) == 64)
  }

  @Test func theLargestMessageFitsAnyBurst() {
    let limits = Self.limits {
      $0.maximumMessageBytes = 1 << 20
      $0.maximumUnpackedBurst = 1
    }
    let meter = Self.meter(UnpackBudget(limits), limits)
    #expect(throws: Never.self) { try meter.pay(1 << 20, .dense, at: Self.start) }
    #expect(throws: RPCStatus.self) { try meter.pay(1 << 19, .dense, at: Self.start) }
  }

  @Test func whatIsRefusedByAllIsNotCountedForOne() {
    let limits = Self.limits { $0.maximumTotalUnpackedBurst = 2 * Self.kibibyte }
    let budget = UnpackBudget(limits)
    let meter = Self.meter(budget, limits)
    let large = (limits.maximumUnpackedBurst, UnpackBudget.Density.plain)
    #expect(throws: RPCStatus.self) { try meter.pay(large.0, large.1, at: Self.start) }
    #expect(Self.spend(meter) == 2)
  }

  /// A peer that ends its connections and comes back has not been forgotten.
  @Test func peersAreRememberedUntilTheyAreIdle() {
    let limits = Self.limits()
    let budget = UnpackBudget(limits)
    for _ in 0..<10 { _ = Self.spend(Self.meter(budget, limits)) }
    #expect(Self.spend(Self.meter(budget, limits)) == 0)
    for peer in 2...1000 {
      _ = Self.spend(Self.meter(budget, limits, peer: UInt32(peer)), atMost: 1, at: Int64(peer * 5))
    }
    #expect(budget.peerCount <= 64)
  }

  @Test func whoAsksForTooMuchAgainAndAgain() {
    let limits = Self.limits {
      $0.maximumOverdrafts = 3
      $0.overdraftsPerSecond = 1
    }
    let overdrafts = Overdrafts(limits)
    let times: [Int64] = [0, 0, 0, 2, 2]
    for time in times {
      overdrafts.count(at: Self.start + .seconds(time))
      #expect(!overdrafts.isSpent)
    }
    overdrafts.count(at: Self.start + .seconds(2))
    #expect(overdrafts.isSpent)
  }

  @Test func refusedMessagesAreOverdrafts() {
    let limits = Self.limits { $0.maximumOverdrafts = 1 }
    let overdrafts = Overdrafts(limits)
    let meter = Self.meter(UnpackBudget(limits), limits, overdrafts)
    _ = Self.spend(meter)
    #expect(!overdrafts.isSpent)
    _ = Self.spend(meter)
    #expect(overdrafts.isSpent)
  }

  // MARK: Gzip

  private static func unpack(
    _ packed: [UInt8], limit: Int = 1 << 20, mayGoOn: (Int) -> Bool = { _ in true }
  ) throws(Gzip.Failure) -> [UInt8] {
    let result = packed.withUnsafeBytes { bytes in
      Result { () throws(Gzip.Failure) in
        try Gzip.decompress(
          bytes, size: try Gzip.size(of: bytes, limit: limit), mayGoOn: mayGoOn)
      }
    }
    return try result.get()
  }

  private static func saying(_ size: UInt32, _ packed: [UInt8]) -> [UInt8] {
    packed.dropLast(4) + withUnsafeBytes(of: size.littleEndian) { Array($0) }
  }

  /// The size is at the end of a message; nothing is unpacked beyond it.
  @Test func sizesAreHeldTo() throws {
    let packed = try #require(Gzip.compress([UInt8](repeating: 7, count: 100_000)))
    #expect(try Self.unpack(packed).count == 100_000)
    for size: UInt32 in [0, 1, 99_999, 100_001, UInt32(packed.count * 1032)] {
      #expect(throws: Gzip.Failure.malformed) { try Self.unpack(Self.saying(size, packed)) }
    }
    // More than anything can unpack to: no memory is taken for it.
    #expect(throws: Gzip.Failure.malformed) {
      try Self.unpack(Self.saying(UInt32(packed.count * 1032 + 1), packed))
    }
    #expect(throws: Gzip.Failure.tooLarge) { try Self.unpack(Self.saying(1 << 20 + 1, packed)) }
    #expect(throws: Gzip.Failure.malformed) { try Self.unpack(Array(packed.prefix(19))) }
  }

  /// Stored blocks of nothing: work without output.
  private static func emptyBlocks(_ count: Int) -> [UInt8] {
    let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
    let block: [UInt8] = [0, 0, 0, 0xFF, 0xFF]
    return header + (0..<count).flatMap { _ in block } + [3, 0] + [UInt8](repeating: 0, count: 8)
  }

  @Test func emptyBlocksAreCounted() throws {
    var told = 0
    let unpacked = try Self.unpack(Self.emptyBlocks(1000)) { blocks in
      told += blocks
      return true
    }
    #expect(unpacked == [] && (900...1000).contains(told))
    told = 0
    #expect(throws: Gzip.Failure.refused) {
      try Self.unpack(Self.emptyBlocks(1_000_000)) { blocks in
        told += blocks
        return told < 500
      }
    }
    #expect(told < 600)
  }

  @Test func emptyBlocksArePaidFor() throws {
    let limits = Self.limits {
      $0.maximumUnpackedBurst = 1024 * Self.kibibyte
      $0.maximumUnpackedBurstPerPeer = 2048 * Self.kibibyte
      $0.maximumTotalUnpackedBurst = 4096 * Self.kibibyte
      $0.unpackedBytesPerSecond = 1
    }
    let meter = Self.meter(UnpackBudget(limits), limits)
    var target = [UInt8](repeating: 0, count: 1)
    let packed = Self.emptyBlocks(1000)
    let status = #expect(throws: RPCStatus.self) {
      try target.withUnsafeMutableBytes { target in
        try packed.withUnsafeBytes { try meter.unpack($0, 0, into: target) }
      }
    }
    #expect(status?.code == .resourceExhausted)
    // Messages that are not of this kind have what they had.
    #expect(Self.spend(meter, .dense) == 0 && Self.spend(meter, atMost: 2000) == 1024)
  }
}
