import Glibc
import Tenancy
import Testing

@testable import TenancyFetch

/// Whom a fetch has to wait for.
struct ConnectingTests {
  /// A socket that listens, and never takes a connection.
  private final class Listener {
    let port: UInt16
    private var descriptors: [Int32]

    /// - Parameter last: of 127.0.0.0/24.
    init(_ last: UInt8, port: UInt16 = 0) throws {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      descriptors = [descriptor]
      var place = Self.place(last, port)
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let code = unsafe withUnsafeMutablePointer(to: &place) { place in
        unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe bind(descriptor, $0, size) | listen(descriptor, 0)
            | getsockname(descriptor, $0, &size)
        }
      }
      self.port = UInt16(bigEndian: place.sin_port)
      try #require(code == 0)
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// From now on nothing answers there.
    func fill(_ last: UInt8) {
      for _ in 0..<8 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        descriptors.append(descriptor)
        var place = Self.place(last, port)
        _ = unsafe withUnsafePointer(to: &place) { place in
          unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
          }
        }
      }
    }

    private static func place(_ last: UInt8, _ port: UInt16) -> sockaddr_in {
      var place = sockaddr_in()
      place.sin_family = sa_family_t(AF_INET)
      place.sin_port = port.bigEndian
      unsafe withUnsafeMutableBytes(of: &place.sin_addr) {
        unsafe $0.copyBytes(from: [127, 0, 0, last])
      }
      return place
    }
  }

  @Test func anAddressThatNobodyAnswersAtIsNotAll() throws {
    let good = try Listener(1)
    let hole = try Listener(2, port: good.port)
    hole.fill(2)
    let addresses = [UInt8(2), 1].compactMap { NetworkAddress([127, 0, 0, $0]) }
    let deadline = FetchDeadline(in: .seconds(4))
    #expect(throws: FetchFailure.self) {
      try HTTPSFetcher.connect(
        [addresses[0]], Int(good.port), FetchDeadline(in: .milliseconds(50)))
    }
    _ = try HTTPSFetcher.connect(addresses, Int(good.port), deadline)
    #expect(deadline.milliseconds > 0)
  }

  @Test func placesOfSlowNames() {
    let tenants = (1...4).map { TenantID(high: 0, low: $0) }
    var places = LookupPlaces()
    func take(_ owner: TenantID?) -> Bool { places.take(owner) }
    #expect([take(tenants[0]), take(tenants[0]), take(tenants[0])] == [true, true, false])
    #expect([take(tenants[1]), take(tenants[1]), take(tenants[1])] == [true, true, false])
    #expect([take(tenants[2]), take(tenants[2])] == [true, true])
    // The rest is the platform's.
    #expect(!take(tenants[3]))
    #expect([take(nil), take(nil), take(nil)] == [true, true, false])
    places.giveBack(tenants[0])
    places.giveBack(nil)
    #expect([take(tenants[1]), take(tenants[3]), take(tenants[3])] == [false, true, false])
  }

  /// Those of Dispatch are as few as there are cores, and tasks need them.
  @Test func whatBlocksKeepsNoTaskWaiting() async {
    let gate = Gate()
    var blocked = 0
    for _ in 0..<256 {
      if OwnThread.run({ gate.pass() }) { blocked += 1 }
    }
    let done = await Task.detached { true }.value
    #expect(done && blocked == 256)
    gate.open()
  }

  /// Holds threads up until it is open.
  private final class Gate: Sendable {
    private let ends: (read: Int32, write: Int32)

    init() {
      var pair: [Int32] = [-1, -1]
      _ = unsafe pipe(&pair)
      ends = (pair[0], pair[1])
    }

    deinit { close(ends.read) }

    func pass() {
      var byte: UInt8 = 0
      _ = unsafe read(ends.read, &byte, 1)
    }

    func open() { close(ends.write) }
  }
}
