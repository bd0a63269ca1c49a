import Dispatch
import Glibc
import Synchronization
import Tenancy

/// Asks the system for the addresses of a name. The system takes as long as it likes, so it is asked on a thread that
/// nobody has to wait for: of these there are few at a time, whatever names are asked for. Thread-safe.
enum NameLookup {
  private static let underWay = Mutex(LookupPlaces())

  /// - Parameter owner: on whose behalf; nil: the platform's.
  /// - Throws: `.address` where the name has none; `.busy`; `.time`.
  static func addresses(
    of host: String, for owner: TenantID?, until deadline: FetchDeadline
  ) throws(FetchFailure) -> [NetworkAddress] {
    guard underWay.withLock({ $0.take(owner) }) else {
      throw FetchFailure(.busy, "the system is slow to look up names")
    }
    let answer = Answer()
    let runs = OwnThread.run {
      answer.give(ask(host))
      underWay.withLock { $0.giveBack(owner) }
    }
    guard runs else {
      underWay.withLock { $0.giveBack(owner) }
      throw FetchFailure(.busy, "the system has no thread for looking up names")
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

/// Who may have a name looked up: whoever names slow ones keeps others' from being looked up no more than this allows.
struct LookupPlaces {
  /// Look-ups that the system is busy with. Beyond that none begins.
  static let all = 8
  /// Of these the ones that tenants can't have: they are the platform's.
  static let ofPlatform = 2
  /// That one tenant can have.
  static let ofTenant = 2

  private var taken = 0
  private var takenByTenants: [TenantID: Int] = [:]

  /// - Parameter owner: nil: the platform.
  /// - Returns: whether there is one for it.
  mutating func take(_ owner: TenantID?) -> Bool {
    guard taken < Self.all else { return false }
    if let owner {
      let own = takenByTenants[owner] ?? 0
      let ofTenants = takenByTenants.values.reduce(0, +)
      guard own < Self.ofTenant, ofTenants < Self.all - Self.ofPlatform else { return false }
      takenByTenants[owner] = own + 1
    }
    taken += 1
    return true
  }

  /// Once for each that was taken.
  mutating func giveBack(_ owner: TenantID?) {
    taken -= 1
    guard let owner, let own = takenByTenants[owner] else { return }
    takenByTenants[owner] = own > 1 ? own - 1 : nil
  }
}

/// When all of a fetch, or a part of it, has to be over.
struct FetchDeadline: Sendable {
  private let end: ContinuousClock.Instant

  init(in duration: Duration) { end = .now + duration }

  private init(_ end: ContinuousClock.Instant) { self.end = end }

  /// In so many milliseconds, and not later than this one.
  func sooner(in milliseconds: Int) -> FetchDeadline {
    FetchDeadline(min(end, .now + .milliseconds(milliseconds)))
  }

  /// What is left; 0: it is over.
  var milliseconds: Int {
    let (seconds, attoseconds) = ContinuousClock.Instant.now.duration(to: end).components
    return max(0, Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000))
  }
}
