import Dispatch
import Glibc
import Synchronization

/// Asks the system for the addresses of a name. The system takes as long as it likes, so it is asked on a thread that
/// nobody has to wait for: of these there are few at a time, whatever names are asked for. Thread-safe.
enum NameLookup {
  /// Look-ups that the system is busy with. Beyond that none begins.
  private static let maximumUnderWay = 8
  private static let underWay = Mutex(0)
  private static let queue = DispatchQueue(label: "tenancy.fetch.names", attributes: .concurrent)

  /// - Throws: `.address` where the name has none; `.time`.
  static func addresses(
    of host: String, until deadline: FetchDeadline
  ) throws(FetchFailure) -> [NetworkAddress] {
    let begins = underWay.withLock { count in
      guard count < maximumUnderWay else { return false }
      count += 1
      return true
    }
    guard begins else { throw FetchFailure(.address, "the system is slow to look up names") }
    let answer = Answer()
    queue.async {
      answer.give(ask(host))
      underWay.withLock { $0 -= 1 }
    }
    guard let found = answer.wait(until: deadline) else {
      throw FetchFailure(.time, "\(host) was not looked up in time")
    }
    return try found.get()
  }

  /// For one who waits and one who answers.
  private final class Answer: Sendable {
    private let done = DispatchSemaphore(value: 0)
    private let result = Mutex<Result<[NetworkAddress], FetchFailure>?>(nil)

    func give(_ result: Result<[NetworkAddress], FetchFailure>) {
      self.result.withLock { $0 = result }
      done.signal()
    }

    func wait(until deadline: FetchDeadline) -> Result<[NetworkAddress], FetchFailure>? {
      _ = done.wait(timeout: .now() + .milliseconds(deadline.milliseconds))
      return result.withLock { $0 }
    }
  }

  private static func ask(_ host: String) -> Result<[NetworkAddress], FetchFailure> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      return .failure(
        FetchFailure(.address, "\(host) has no address: \(String(cString: gai_strerror(code)))"))
    }
    defer { freeaddrinfo(list) }
    var found: [NetworkAddress] = []
    var next = list
    while let entry = next {
      if let address = address(entry.pointee), !found.contains(address) { found.append(address) }
      next = entry.pointee.ai_next
    }
    return .success(found)
  }

  /// The bytes of the address alone: what is connected to is made of these.
  private static func address(_ entry: addrinfo) -> NetworkAddress? {
    guard let raw = entry.ai_addr.map({ UnsafeRawPointer($0) }) else { return nil }
    switch entry.ai_family {
    case AF_INET where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in>.size:
      let place = raw.loadUnaligned(as: sockaddr_in.self)
      return withUnsafeBytes(of: place.sin_addr) { NetworkAddress(Array($0)) }
    case AF_INET6 where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in6>.size:
      let place = raw.loadUnaligned(as: sockaddr_in6.self)
      return withUnsafeBytes(of: place.sin6_addr) { NetworkAddress(Array($0)) }
    default: return nil
    }
  }
}

/// When all of a fetch has to be over.
struct FetchDeadline: Sendable {
  private let end: ContinuousClock.Instant

  init(in duration: Duration) { end = .now + duration }

  /// What is left; 0: it is over.
  var milliseconds: Int {
    let (seconds, attoseconds) = ContinuousClock.Instant.now.duration(to: end).components
    return max(0, Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000))
  }
}
