import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyServer

/// What a watch is asked, and its tokens. `test_watch.py` watches.
struct WatchTests {
  private static let store: UInt64 = 0xABCD

  @Test func tokensComeBack() throws {
    let seen: [WatchPlace.Seen] = [.all, .through(nil), .through(Sample.id(7))]
    for seen in seen {
      for changes in [0, 1, 99] {
        let place = WatchPlace(
          store: Self.store, changes: TenantChangePlace(revision: 12, changes: changes), seen: seen)
        #expect(try WatchPlace(parsing: place.text(question: "q"), question: "q") == place)
      }
    }
    // A consistency token is one.
    let token = ConsistencyToken(store: Self.store, revision: 12).text
    let place = try WatchPlace(parsing: token, question: "q")
    #expect(place.changes == TenantChangePlace(revision: 12) && place.seen == .all)
    #expect(place.text(question: "other") == token)
    let inside = WatchPlace(
      store: Self.store, changes: TenantChangePlace(revision: 12), seen: .through(Sample.id(7))
    ).text(question: "q")
    for wrong in [inside + "0", "x", token + ".", token + ".+1", token + ".1.", inside + ".1"] {
      #expect(throws: TenancyError.self) { try WatchPlace(parsing: wrong, question: "q") }
    }
    #expect(throws: TenancyError.self) { try WatchPlace(parsing: inside, question: "r") }
  }

  private static func kind(
    _ terms: WatchTerms, _ tenant: Tenant, _ former: TenantChange.Former
  ) -> V1.TenantChangeKind? {
    terms.kind(
      of: TenantChange(revision: 2, index: 0, time: Sample.moment, tenant: tenant, former: former))
  }

  @Test func whatAChangeIsToAWatcher() throws {
    let terms = try WatchTerms(V1.WatchTenantsRequest(filter: "labels.region = eu"))
    let deleted = try WatchTerms(
      V1.WatchTenantsRequest(filter: "labels.region = eu", showDeleted: true))
    let outside = Sample.tenant(1, "acme")
    var inside = outside
    inside.metadata.labels = ["region": "eu"]
    var (later, laterOutside, gone, purged) = (inside, outside, inside, inside)
    later.version = 2
    laterOutside.version = 2
    (gone.version, gone.state) = (3, .deleted)
    (purged.version, purged.state) = (4, .purged)
    #expect(Self.kind(terms, inside, .none) == .created)
    #expect(Self.kind(terms, inside, .unknown) == .created)
    #expect(Self.kind(terms, outside, .none) == nil)
    #expect(Self.kind(terms, outside, .unknown) == nil)
    for former in [.tenant(inside), .tenant(outside), .unknown] as [TenantChange.Former] {
      #expect(Self.kind(terms, later, former) == .changed)
    }
    #expect(Self.kind(terms, laterOutside, .tenant(inside)) == .removed)
    #expect(Self.kind(terms, laterOutside, .tenant(outside)) == nil)
    // It may have matched.
    #expect(Self.kind(terms, laterOutside, .unknown) == .removed)
    #expect(Self.kind(terms, gone, .tenant(later)) == .removed)
    #expect(Self.kind(deleted, gone, .tenant(later)) == .changed)
    #expect(Self.kind(terms, purged, .tenant(gone)) == nil)
    #expect(Self.kind(deleted, purged, .tenant(gone)) == .removed)
  }

  @Test func roomIsBounded() throws {
    let room = WatchRoom(
      limits: WatchRoom.Limits(ofTenant: 2, ofPlatformIdentity: 3, ofTenants: 3, ofPlatform: 4))
    let (acme, globex) = (WritePayer.tenant(Sample.id(1)), WritePayer.tenant(Sample.id(2)))
    try room.enter(acme)
    try room.enter(acme)
    let own = #expect(throws: TenancyError.self) { try room.enter(acme) }
    #expect(own?.reason == .limitReached && own?.metadata["quota"] == "watches")
    try room.enter(globex)
    // Tenants have taken all of theirs, and nothing of the platform's.
    #expect(throws: TenancyError.self) { try room.enter(globex) }
    for _ in 0..<3 { try room.enter(.platform("a")) }
    #expect(throws: TenancyError.self) { try room.enter(.platform("a")) }
    try room.enter(.platform("b"))
    #expect(throws: TenancyError.self) { try room.enter(.platform("b")) }
    room.leave(acme)
    try room.enter(globex)
    #expect(room.count == 7)
  }
}
