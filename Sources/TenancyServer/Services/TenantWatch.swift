import Synchronization
import Tenancy
import TenancyRPC
import TenancyWire

extension TenantManagerService {
  /// Tells of changes until the client has enough, or the server stops.
  func watch(
    _ request: V1.WatchTenantsRequest, _ responses: ResponseStream<V1.WatchTenantsResponse>,
    _ stream: StreamCall
  ) async throws {
    let terms = try WatchTerms(request)
    try terms.query.filter.refuseSecrets(in: plane.state.catalog)
    try watches.enter(stream.payer)
    defer { watches.leave(stream.payer) }
    let place = try await terms.begin(plane, stream)
    let own = try stream.access().home?.tenant.id
    let feed = plane.tenantChanges(after: place.changes, of: own, by: stream.payer)
    // What is followed must be what the place is of, and not a state that was taken back meanwhile.
    guard plane.token.revision >= place.changes.revision else { throw StreamCall.interrupted() }
    let last = LastToken(place.text(question: terms.question))
    let interval = progressInterval
    _ = try await stream.drain.cancelling {
      var watch = TenantWatch(
        stream: stream, responses: responses, terms: terms, own: own, interval: interval,
        last: last, feed: feed, place: place)
      try await watch.run()
    }
    throw StreamCall.interrupted(resumption: last.text)
  }
}

/// What a watch is asked.
struct WatchTerms: Sendable {
  /// For how long a watch waits for a state as fresh as its token.
  private static let patience = Duration.seconds(5)

  let query: TenantQuery
  let showDeleted: Bool
  /// All that says which tenants it is about.
  let question: String
  private let resumption: WatchPlace?
  private let wantsSnapshot: Bool

  init(_ request: V1.WatchTenantsRequest) throws(TenancyError) {
    // In order of ids, so that it is known of each whether it was told of.
    query = try TenantQuery(
      filter: request.filter, orderBy: TenantOrder.Field.createTime.rawValue)
    showDeleted = request.showDeleted
    question = "\(request.showDeleted) \(request.filter)"
    wantsSnapshot = request.snapshot
    guard !request.resumeToken.isEmpty else {
      resumption = nil
      return
    }
    guard !request.snapshot else {
      throw .invalid("snapshot", "not with a resume_token, which goes on where a watch was")
    }
    resumption = try WatchPlace(parsing: request.resumeToken, question: question)
  }

  /// Where the watch begins.
  func begin(_ plane: ControlPlane, _ stream: StreamCall) async throws(TenancyError) -> WatchPlace {
    guard let resumption else {
      let now = plane.token
      return WatchPlace(
        store: now.store, changes: TenantChangePlace(revision: now.revision),
        seen: wantsSnapshot ? .through(nil) : .all)
    }
    // It is told of the change in which it stopped, too.
    let place = resumption.changes
    let needed = place.changes > 0 ? place.revision + 1 : place.revision
    try await plane.reach(
      ConsistencyToken(store: resumption.store, revision: needed),
      payer: .admitted("watch \(stream.payer)"), by: ContinuousClock.now + Self.patience)
    return resumption
  }

  /// Whether a watcher sees a tenant.
  func matches(_ tenant: Tenant, _ budget: inout WorkBudget) -> Bool {
    guard tenant.state != .purged, showDeleted || !tenant.state.isGone else { return false }
    return query.filter.matches(tenant, &budget)
  }

  /// What a change is to a watcher; nil: nothing.
  func kind(of change: TenantChange) -> V1.TenantChangeKind? {
    var budget = WorkBudget.uncapped
    let isNew = change.tenant.version == 1
    if matches(change.tenant, &budget) { return isNew ? .created : .changed }
    switch change.former {
    case .none: return nil
    case .unknown: return isNew ? nil : .removed
    case .tenant(let former): return matches(former, &budget) ? .removed : nil
    }
  }
}

/// The token that was given last: with which the client goes on elsewhere.
private final class LastToken: Sendable {
  private let state: Mutex<String>

  init(_ text: String) { state = Mutex(text) }

  var text: String {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }
}

/// One watch, at the pace of its client.
///
/// A snapshot is told piece by piece, in order of ids, each of the state at its time, and between two of them what has
/// changed by then of the tenants that were told: so what the client has is, up to the last that it was told of, the
/// state of one revision. No state is held meanwhile, however slow the client is.
private struct TenantWatch {
  /// Tenants of one message.
  static let maximumPiece = 500
  /// Revisions that are passed over, at most, before a message says so.
  static let maximumPassed: UInt64 = 1_000

  let stream: StreamCall
  let responses: ResponseStream<V1.WatchTenantsResponse>
  let terms: WatchTerms
  /// The only tenant that is told of; nil: all are.
  let own: TenantID?
  let interval: Duration
  let last: LastToken
  var feed: TenantChanges
  var place: WatchPlace
  /// What the client knows, and since when.
  private var told: WatchPlace
  private var toldTime = ContinuousClock.now

  init(
    stream: StreamCall, responses: ResponseStream<V1.WatchTenantsResponse>, terms: WatchTerms,
    own: TenantID?, interval: Duration, last: LastToken, feed: TenantChanges, place: WatchPlace
  ) {
    self.stream = stream
    self.responses = responses
    self.terms = terms
    self.own = own
    self.interval = interval
    self.last = last
    self.feed = feed
    self.place = place
    told = place
  }

  mutating func run() async throws {
    if place.seen == .all { try await send(V1.WatchTenantsResponse()) }
    while case .through(let id) = place.seen { try await tellPiece(after: id) }
    while !Task.isCancelled {
      if try await tellNext(through: .max) { continue }
      let left = interval - toldTime.duration(to: .now)
      if place == told {
        await feed.wait(atMost: nil)
      } else if left > .zero {
        await feed.wait(atMost: left)
      } else {
        try await send(V1.WatchTenantsResponse())
      }
    }
  }

  // MARK: The snapshot

  private struct Piece {
    var tenants: [V1.Tenant] = []
    let revision: UInt64
    var end: WatchPlace.Seen
  }

  private mutating func tellPiece(after id: TenantID?) async throws {
    let piece = try piece(after: id)
    while place.changes.revision < piece.revision, !Task.isCancelled {
      if try await !tellNext(through: piece.revision) { await feed.wait(atMost: nil) }
    }
    if Task.isCancelled { throw CancellationError() }
    place.seen = piece.end
    let isComplete = piece.end == .all
    if isComplete || !piece.tenants.isEmpty {
      try await send(
        V1.WatchTenantsResponse(tenants: piece.tenants, snapshotComplete: isComplete))
    }
    // Others have their turn.
    await Task.yield()
  }

  private func piece(after id: TenantID?) throws(TenancyError) -> Piece {
    let access = try stream.access()
    var budget = WorkBudget()
    var list = access.visibleTenants(
      terms.query, after: id.map { TenantListPlace(id: $0, text: "") })
    var piece = Piece(revision: access.snapshot.state.revision, end: .through(id))
    while let record = list.next(&budget) {
      if terms.matches(record.tenant, &budget) {
        if piece.tenants.count == Self.maximumPiece || budget.isFull { return piece }
        piece.tenants.append(
          V1.Tenant(
            record.tenant.withoutValues(ofSecretsIn: access.snapshot.state.catalog),
            former: record.formerSlugs, at: access.now, for: access.caller))
        budget.answer(bytes: record.answerBytes + WorkBudget.elementBytes)
      }
      piece.end = .through(record.tenant.id)
    }
    if list.isAtEnd { piece.end = .all }
    return piece
  }

  // MARK: Changes

  /// Tells of the next change, if it is one for this watcher.
  /// - Returns: false when there is nothing now.
  private mutating func tellNext(through revision: UInt64) async throws -> Bool {
    let step = try await feed.next(through: revision)
    place.changes = feed.place
    switch step {
    case .change(let change):
      if let message = try message(of: change) { try await send(message) }
    case .passed: break
    case .nothing: return false
    case .closed: throw StreamCall.interrupted(resumption: last.text)
    }
    if place.changes.revision - told.changes.revision >= Self.maximumPassed {
      try await send(V1.WatchTenantsResponse())
    }
    return true
  }

  private func message(
    of change: TenantChange
  ) throws(TenancyError) -> V1.WatchTenantsResponse? {
    let id = change.tenant.id
    guard own == nil || own == id, place.seen.covers(id), let kind = terms.kind(of: change) else {
      return nil
    }
    let access = try stream.access()
    return V1.WatchTenantsResponse(
      change: V1.TenantChange(
        kind: kind,
        tenant: V1.Tenant(
          change.tenant.withoutValues(ofSecretsIn: access.snapshot.state.catalog), former: [],
          at: access.now, for: access.caller),
        revision: change.revision, time: GoogleProtobuf.Timestamp(change.time)))
  }

  private mutating func send(_ message: V1.WatchTenantsResponse) async throws {
    var message = message
    message.resumeToken = place.text(question: terms.question)
    message.revision = place.changes.revision
    told = place
    toldTime = .now
    // It comes before the status, whether the client has room for it yet or not.
    last.text = message.resumeToken
    try await responses.send(message)
  }
}
