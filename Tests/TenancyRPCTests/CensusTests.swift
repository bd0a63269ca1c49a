import NIOCore
import Synchronization
import Testing

@testable import TenancyRPC

@Suite("Who is counted, and who has to go")
struct CensusTests {
  /// Collects the names of connections that had to go.
  private final class Gone: Sendable {
    private let names = Mutex<[String]>([])

    func note(_ name: String) -> @Sendable () -> Void {
      { self.names.withLock { $0.append(name) } }
    }

    /// Those since the last time.
    func take() -> [String] {
      names.withLock { names in
        defer { names = [] }
        return names
      }
    }
  }

  /// Each time that it is asked, what has come before has been here for long enough.
  private final class Clock {
    private(set) var now = NIODeadline.uptimeNanoseconds(1_000_000_000)

    func later(by time: TimeAmount = Newcomers.grace) -> NIODeadline {
      now = now + time
      return now
    }
  }

  private let clock = Clock()

  private static func census(
    maximum: Int = 100, perPeer: Int = 100, descriptors: Int = 100, unproven: Int = 100,
    perOrigin: Int = 100
  ) -> ConnectionCensus {
    ConnectionCensus(
      .init(
        maximum: maximum, maximumPerPeer: perPeer, descriptors: descriptors, unproven: unproven,
        unprovenPerOrigin: perOrigin))
  }

  // MARK: Proven

  @Test func allAndOfAPeer() {
    let census = Self.census(maximum: 2, perPeer: 1)
    #expect(census.enter() && census.enter())
    #expect(!census.enter())
    census.leave()
    #expect(census.enter())
    #expect(census.enter(.user(1)))
    #expect(!census.enter(.user(1)))
    #expect(census.enter(.user(2)))
    #expect(census.enter(.workload("spiffe://a/b")))
    census.leave(.user(1))
    #expect(census.enter(.user(1)))
  }

  @Test func listenersWaitForDescriptors() {
    let census = Self.census(descriptors: 2)
    let resumed = Mutex(0)
    let resume: @Sendable () -> Void = { resumed.withLock { $0 += 1 } }
    #expect(census.mayAccept(resume) && census.enter() && census.enter())
    #expect(!census.mayAccept(resume) && !census.mayAccept(resume))
    // One look at a listener may accept several: these count, and the wait goes on until they are gone.
    #expect(census.enter())
    census.leave()
    #expect(resumed.withLock { $0 } == 0)
    census.leave()
    #expect(resumed.withLock { $0 } == 2)
    #expect(census.mayAccept(resume))
    census.leave()
    #expect(resumed.withLock { $0 } == 2)
  }

  // MARK: Not proven

  /// The limit is the last that is allowed: one more, and the oldest of the same origin goes.
  @Test func theOldestOfAnOriginGoes() {
    let census = Self.census(perOrigin: 3)
    let gone = Gone()
    _ = census.admit(.ipv4(9), at: clock.later(), gone.note("other"))
    let first = (1...3).map { census.admit(.ipv4(1), at: clock.later(), gone.note("\($0)")) }
    #expect(gone.take().isEmpty)
    _ = census.admit(.ipv4(1), at: clock.later(), gone.note("4"))
    #expect(gone.take() == ["1"])
    // What has proven itself, or has gone, counts no more.
    #expect(census.settle(first[1], .silent))
    _ = census.admit(.ipv4(1), at: clock.later(), gone.note("5"))
    #expect(gone.take().isEmpty)
    _ = census.admit(.ipv4(1), at: clock.later(), gone.note("6"))
    #expect(gone.take() == ["3"])
    #expect(!census.settle(first[0], .silent), "it had to go")
    #expect(census.unproven == 4)
  }

  /// Over the limit of all, those go who have the most: who has one stays, however old it is.
  @Test func theGreediestGoFirst() {
    let census = Self.census(unproven: 6, perOrigin: 5)
    let gone = Gone()
    _ = census.admit(.user(1), at: clock.later(), gone.note("modest"))
    for number in 1...3 {
      _ = census.admit(.user(2), at: clock.later(), gone.note("few \(number)"))
    }
    for number in 1...2 {
      _ = census.admit(.user(3), at: clock.later(), gone.note("two \(number)"))
    }
    #expect(gone.take().isEmpty)
    _ = census.admit(.user(4), at: clock.later(), gone.note("new"))
    #expect(gone.take() == ["few 1"])
    // The first of either that have two, then always of the one that has more.
    for number in 3...6 {
      _ = census.admit(.user(3), at: clock.later(), gone.note("two \(number)"))
    }
    let left = gone.take()
    #expect(left.count == 4 && !left.contains("modest") && !left.contains("new"))
    #expect(census.unproven == 6)
  }

  @Test func theOldestOfAllGoesWhereEachHasOne() {
    let census = Self.census(unproven: 3)
    let gone = Gone()
    for number in 1...5 {
      _ = census.admit(.ipv4(UInt32(number)), at: clock.later(), gone.note("\(number)"))
    }
    #expect(gone.take() == ["1", "2"])
  }

  /// Who has had an answer in its handshake is not driven out by those who say nothing.
  @Test func stagesAreCountedByThemselves() throws {
    let census = Self.census(perOrigin: 2)
    let gone = Gone()
    let honest = census.admit(.ipv4(1), at: clock.later(), gone.note("honest"))
    let answered = try #require(census.advance(honest, .ipv4(1), at: clock.later()))
    for number in 1...4 { _ = census.admit(.ipv4(1), at: clock.later(), gone.note("\(number)")) }
    #expect(gone.take() == ["1", "2"])
    #expect(census.advance(honest, .ipv4(1), at: clock.later()) == nil, "it is not silent any more")
    for number in 5...6 {
      let ticket = census.admit(.ipv4(2), at: clock.later(), gone.note("\(number)"))
      #expect(census.advance(ticket, .ipv4(2), at: clock.later()) != nil)
    }
    #expect(gone.take().isEmpty)
    let third = census.admit(.ipv4(2), at: clock.later(), gone.note("7"))
    #expect(census.advance(third, .ipv4(2), at: clock.later()) != nil)
    #expect(gone.take() == ["5"])
    #expect(census.settle(answered, .answered))
  }

  @Test func theUnprovenMakeRoomWhereThereIsNoneLeft() {
    let census = Self.census(maximum: 3)
    let gone = Gone()
    for number in 1...3 {
      #expect(census.enter())
      if number > 1 { _ = census.admit(.ipv4(1), at: clock.later(), gone.note("\(number)")) }
    }
    // The one that had to go is still there for a moment.
    #expect(census.enter())
    #expect(gone.take() == ["2"])
    #expect(census.enter())
    #expect(gone.take() == ["3"])
    #expect(!census.enter(), "all that are left have proven what they must")
    census.evictedHasLeft()
    census.leave()
    #expect(!census.enter())
    census.leave()
    #expect(census.enter())
  }

  @Test func theUnprovenMakeRoomForDescriptors() {
    let census = Self.census(descriptors: 20)
    let gone = Gone()
    let resumed = Mutex(0)
    for number in 1...20 {
      #expect(census.mayAccept {})
      #expect(census.enter())
      _ = census.admit(.ipv4(1), at: clock.later(), gone.note("\(number)"))
    }
    #expect(gone.take().isEmpty)
    #expect(!census.mayAccept { resumed.withLock { $0 += 1 } })
    #expect(gone.take().isEmpty, "those that came last have a moment to say who they are")
    census.makeRoom()
    #expect(gone.take() == (1...Int(AcceptGate.acceptedPerRead)).map(String.init))
    census.makeRoom()
    #expect(gone.take().isEmpty, "those that have to go leave room enough")
    #expect(resumed.withLock { $0 } == 0, "their descriptors are not free yet")
    census.leave()
    #expect(resumed.withLock { $0 } == 1)
  }

  /// Against a plain model: any order of coming and going.
  @Test(arguments: 1...20)
  func anyOrder(_ seed: UInt64) {
    var random = SeededGenerator(state: seed)
    var newcomers = Newcomers(maximum: 12, maximumPerOrigin: 5)
    let gone = Gone()
    var model: [(number: Int, origin: UInt32, ticket: Newcomers.Ticket)] = []
    for number in 0..<500 {
      if random.next() % 3 == 0, let victim = model.indices.randomElement(using: &random) {
        #expect(newcomers.remove(model[victim].ticket) != nil)
        #expect(newcomers.remove(model[victim].ticket) == nil)
        model.remove(at: victim)
      } else {
        let origin = UInt32(random.next() % 4)
        let (ticket, evicted) = newcomers.add(
          from: .ipv4(origin), at: clock.later(), gone.note("\(number)"))
        for close in evicted { close() }
        let expected = Self.victims(model.map(\.origin), newcomer: origin)
        let left = gone.take()
        #expect(left.isEmpty == expected.isEmpty)
        if let name = left.first, let at = model.firstIndex(where: { "\($0.number)" == name }) {
          #expect(expected.contains(at))
          model.remove(at: at)
        }
        model.append((number, origin, ticket))
      }
      #expect(newcomers.count == model.count)
    }
  }

  /// Who may have to go: positions in `origins`, which are in order of arrival.
  private static func victims(_ origins: [UInt32], newcomer: UInt32) -> [Int] {
    let counts = Dictionary(grouping: origins.indices) { origins[$0] }
    if let own = counts[newcomer], own.count >= 5 { return [own[0]] }
    guard origins.count >= 12 else { return [] }
    let most = counts.values.map(\.count).max() ?? 0
    return counts.values.filter { $0.count == most }.compactMap(\.first)
  }

  // MARK: Those that have only just come

  /// What they have said may not have been looked at: they go when they have had a moment.
  @Test func whoHasJustComeStaysForAMoment() {
    let census = Self.census(perOrigin: 4)
    let gone = Gone()
    for number in 1...6 { _ = census.admit(.ipv4(1), at: clock.now, gone.note("\(number)")) }
    #expect(gone.take().isEmpty)
    // Two go for each that comes, until there are as many as allowed.
    _ = census.admit(.ipv4(1), at: clock.later(), gone.note("7"))
    #expect(gone.take() == ["1", "2"])
    _ = census.admit(.ipv4(1), at: clock.later(), gone.note("8"))
    #expect(gone.take() == ["3", "4"])
    _ = census.admit(.ipv4(1), at: clock.later(), gone.note("9"))
    #expect(gone.take() == ["5"])
    #expect(census.unproven == 4)
  }

  /// They go at once when there are half as many again as there may be.
  @Test func farTooManyDoNotStay() {
    let census = Self.census(perOrigin: 4)
    let gone = Gone()
    for number in 1...7 { _ = census.admit(.ipv4(1), at: clock.now, gone.note("\(number)")) }
    #expect(gone.take().isEmpty)
    _ = census.admit(.ipv4(1), at: clock.now, gone.note("8"))
    #expect(gone.take() == ["1"])
  }

  // MARK: Limits and origins

  @Test func limitsFitTheRoom() {
    let limits = ServerLimits()
    func unproven(_ descriptors: Int) -> [Int] {
      let fitted = ConnectionCensus.Limits(limits, descriptors: descriptors)
      return [fitted.unproven, fitted.unprovenPerOrigin]
    }
    #expect(unproven(1 << 20) == [4096, 1024])
    #expect(unproven(4000) == [1000, 750])
    #expect(unproven(960) == [240, 180])
    // So few that one look at a listener would fill them.
    #expect(unproven(36) == [32, 32])
    var small = limits
    small.maximumUnprovenConnections = 3
    small.maximumUnprovenPerOrigin = 2
    let fitted = ConnectionCensus.Limits(small, descriptors: 960)
    #expect([fitted.unproven, fitted.unprovenPerOrigin] == [3, 2])
  }

  @Test func originsOfAddresses() throws {
    func origin(_ address: String) throws -> Origin {
      Origin(try SocketAddress(ipAddress: address, port: 1))
    }
    #expect(try origin("127.0.0.1") != origin("127.0.0.2"))
    #expect(try origin("127.0.0.1") == origin("::ffff:127.0.0.1"))
    #expect(try origin("2001:db8::1") == origin("2001:db8::2:3"))
    #expect(try origin("2001:db8::1") != origin("2001:db8:0:1::1"))
    #expect(try origin("::1") != origin("0.0.0.1"))
    #expect(Origin(nil) == .unknown)
  }
}

/// The same numbers each time (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
