import Foundation
import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyStore

/// The state that event loops read, rebuilt from any snapshot and the log after it.
@Suite struct HistoryTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// What can be asked of a state.
  private struct Answers: Equatable {
    struct Record: Equatable {
      let tenant: Tenant
      let roles: [Role]
      let assignments: [RoleAssignment]
      let steps: Set<String>
      let formerSlugs: [Slug]
    }
    let revision: UInt64
    let records: [Record]
    let owners: [TenantID?]
    let former: [TenantID?]
    let found: [TenantID?]
    let requests: [RememberedRequest?]

    init(_ state: ControlState) {
      revision = state.revision
      records = Self.all(state.tenants()).map { record in
        Record(
          tenant: record.tenant,
          roles: Self.all(record.policy.roles()).map(\.role),
          assignments: Self.all(record.policy.assignments()), steps: record.provisionedSteps,
          formerSlugs: record.formerSlugs.map(\.slug))
      }
      let slugs = Commands.slugs
      owners = slugs.map { state.owner(of: ReservedName(.slug, $0)) }
      former = slugs.map { state.formerSlug($0)?.tenant }
      found = slugs.map { state.find($0)?.tenant.id }
      requests = Commands.requests.map { state.request($0, of: "uid:0") }
    }

    private static func all<Element>(_ cursor: Cursor<Element>) -> [Element] {
      var (cursor, budget) = (cursor, WorkBudget.uncapped)
      var found: [Element] = []
      while let element = cursor.next(&budget) { found.append(element) }
      return found
    }
  }

  /// Changes as commands make them: a tenant's slug is reserved, and what it was called before is former.
  private struct Commands {
    static let slugs = (0..<8).flatMap { number in (0..<4).map { "t\(number)-\($0)" } }
    static let requests = (0..<6).map { "r\($0)" }

    var random: SeededGenerator
    var tenants: [TenantID: Tenant] = [:]

    mutating func next(_ revision: UInt64) -> [Change] {
      let number = Int.random(in: 0..<8, using: &random)
      let id = Sample.id(UInt64(number))
      func slug(_ choice: Int) -> Slug { Sample.slug("t\(number)-\(choice)") }
      guard var tenant = tenants[id] else {
        var tenant = Sample.tenant(UInt64(number))
        tenant.slug = slug(0)
        tenants[id] = tenant
        return [.putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), id)]
      }
      let name = "x\(Int.random(in: 0..<4, using: &random))"
      let choice = slug(Int.random(in: 0..<4, using: &random))
      switch Int.random(in: 0..<10, using: &random) {
      case 0: return [.putRole(id, Sample.role(name))]
      case 1: return [.deleteRole(id, id: name)]
      case 2: return [.putAssignment(id, Sample.assignment(name))]
      case 3: return [.deleteAssignment(id, id: name)]
      case 4: return [.putProvisioningStep(id, name: name)]
      case 5: return [.clearProvisioningSteps(id)]
      case 6:
        let request = Self.requests[Int.random(in: 0..<6, using: &random)]
        return [.rememberRequest(Sample.request(request, tenant: id, at: Int64(revision)))]
      case 7: return [.forgetRequests(before: Timestamp(nanoseconds: Int64(revision) - 9), of: nil)]
      case 8 where choice != tenant.slug: return [.retireSlug(choice, id)]
      default:
        tenant.slug = choice
        tenant.version += 1
        tenants[id] = tenant
        return [.putTenant(tenant), .reserveName(ReservedName(.slug, choice.text), id)]
      }
    }
  }

  @Test(arguments: 1...3 as ClosedRange<UInt64>)
  func aSnapshotAndWhatFollowsGiveTheState(_ seed: UInt64) throws {
    let store = try SQLiteStore(path: directory.file("control.db"), isAudited: false)
    defer { store.close() }
    var commands = Commands(random: SeededGenerator(seed: seed))
    var written = ControlState()
    var snapshots = [StoredState(revision: 0, changes: [])]
    var answers = [Answers(written)]
    for revision in 1...120 as ClosedRange<UInt64> {
      let entry = Sample.entry(revision, commands.next(revision))
      try store.append([entry])
      written.apply(entry.changes, revision: revision)
      answers.append(Answers(written))
      if revision.isMultiple(of: 10) { snapshots.append(try store.load()) }
    }
    #expect(answers.last?.former.contains { $0 != nil } == true)
    for stored in snapshots {
      var state = ControlState()
      state.apply(stored.changes, revision: stored.revision)
      #expect(Answers(state) == answers[Int(stored.revision)])
      for entry in try follow(store, after: stored.revision, limit: 11) {
        state.apply(entry.changes, revision: entry.revision)
        #expect(Answers(state) == answers[Int(entry.revision)])
      }
      #expect(state.revision == 120)
    }
  }
}
