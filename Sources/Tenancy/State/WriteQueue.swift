/// How much waits, and how much is carried out in one go.
struct WriteLimits: Sendable {
  /// Writes of one priority that wait, at most.
  var waiting = 8192
  /// Those of one tenant.
  var waitingOfTenant = 256
  /// Those of one platform identity.
  var waitingOfPlatformIdentity = 2048
  /// What a payer's turn is worth.
  var turn = 64
  /// What one batch may cost, however fast the store is.
  var batch = 512
  /// And however slow it is.
  var smallestBatch = 64
  /// Batches that take longer become smaller; those that take less than half become larger.
  var batchNanoseconds: Int64 = 40_000_000
}

/// Why a write may not wait.
enum WriteQueueRefusal: Equatable {
  /// So many of the payer's wait already.
  case payer(limit: Int)
  /// So much waits in all that the payer has its part.
  case all
}

/// Where writes wait, fairly. A value without clocks, locks or threads.
///
/// Each payer has a line of its own, in which order is kept. Lines take turns by cost (deficit round
/// robin), so that a line's wait depends on how many payers there are and not on how much one of them
/// asks for. Revocations have lines of their own that go first, in turns as well: each payer has one turn
/// at them in a batch, and together half of the batch, while ordinary writes wait. So nobody delays another's
/// revocation or, by revoking, another's writes.
struct WriteQueue<Element> {
  let limits: WriteLimits
  private var revoking = Lane()
  private var ordinary = Lane()
  /// What the next batch may cost.
  private(set) var batchLimit: Int

  init(limits: WriteLimits = WriteLimits()) {
    self.limits = limits
    batchLimit = limits.batch
  }

  var count: Int { revoking.count + ordinary.count }
  var isEmpty: Bool { count == 0 }
  var hasRevoking: Bool { !revoking.isEmpty }

  func waiting(of payer: WritePayer) -> Int {
    revoking.waiting(of: payer) + ordinary.waiting(of: payer)
  }

  // MARK: In

  /// Adds a write to its payer's line, unless too much waits.
  mutating func add(_ element: Element, _ terms: WriteTerms) -> WriteQueueRefusal? {
    switch terms.turn {
    case .revoking: Self.add(element, terms, to: &revoking, limits)
    case .ordinary: Self.add(element, terms, to: &ordinary, limits)
    }
  }

  private static func add(
    _ element: Element, _ terms: WriteTerms, to lane: inout Lane, _ limits: WriteLimits
  ) -> WriteQueueRefusal? {
    let free = limits.waiting - lane.count
    guard free > 0 else { return .all }
    let own: Int
    // Nobody may have more than a part of what is free besides. So there is always room for those who
    // have little, be it many who fill the queue together.
    let part: Int
    switch terms.payer {
    case .tenant: (own, part) = (limits.waitingOfTenant, free / 8)
    case .platform: (own, part) = (limits.waitingOfPlatformIdentity, free / 2)
    case .server: (own, part) = (limits.waiting, free + lane.count)
    }
    let waiting = lane.waiting(of: terms.payer)
    guard waiting < own else { return .payer(limit: own) }
    guard waiting < max(part, 1) else { return .all }
    lane.add(element, terms)
    return nil
  }

  // MARK: Out

  /// The next writes to carry out together; empty when none waits. It costs no more than `batchLimit`, but
  /// for a first write of each priority that costs more.
  mutating func take() -> [Element] {
    var batch = Batch(elements: [], cost: 0)
    let first = ordinary.isEmpty ? batchLimit : batchLimit / 2
    revoking.take(into: &batch, upTo: first, turn: limits.turn, each: 1)
    ordinary.take(into: &batch, upTo: batchLimit, turn: limits.turn)
    if ordinary.isEmpty {
      let isEmpty = batch.elements.isEmpty
      revoking.take(into: &batch, upTo: batchLimit, turn: limits.turn, mayExceed: isEmpty)
    }
    return batch.elements
  }

  /// Takes how long a batch held the writer for the size of the next: who comes now waits for one batch.
  mutating func noteBatch(nanoseconds: Int64) {
    if nanoseconds > limits.batchNanoseconds {
      batchLimit = max(batchLimit / 2, limits.smallestBatch)
    } else if nanoseconds < limits.batchNanoseconds / 2 {
      batchLimit = min(batchLimit + batchLimit / 4, limits.batch)
    }
  }

  private struct Batch {
    var elements: [Element]
    var cost: Int
  }

  /// The lines of one priority.
  private struct Lane {
    private struct Line {
      var waiting = Fifo<(element: Element, cost: Int)>()
      /// What it may still take, less than a turn and the cost of one write.
      var credit = 0
    }

    private var lines: [WritePayer: Line] = [:]
    /// Who has something waiting, in the order of their turns.
    private var turns = Fifo<WritePayer>()
    /// Whether the first of `turns` has been given what its turn is worth.
    private var isTurnBegun = false
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    func waiting(of payer: WritePayer) -> Int { lines[payer]?.waiting.count ?? 0 }

    mutating func add(_ element: Element, _ terms: WriteTerms) {
      if lines[terms.payer] == nil { turns.append(terms.payer) }
      lines[terms.payer, default: Line()].waiting.append((element, terms.cost))
      count += 1
    }

    /// - Parameters:
    ///   - limit: what the batch may cost with it.
    ///   - each: how many turns each payer has; nil: as many as there is room for.
    ///   - mayExceed: whether the first write is taken whatever it costs.
    mutating func take(
      into batch: inout Batch, upTo limit: Int, turn: Int, each: Int? = nil, mayExceed: Bool = true
    ) {
      var mayExceed = mayExceed
      var left = each.map { $0 * turns.count }
      while let payer = turns.first, let at = lines.index(forKey: payer),
        let cost = lines.values[at].waiting.first?.cost
      {
        if !isTurnBegun {
          if left == 0 { return }
          left = left.map { $0 - 1 }
          lines.values[at].credit += turn
          isTurnBegun = true
        }
        guard cost <= lines.values[at].credit else {
          endTurn()
          continue
        }
        guard batch.cost + cost <= limit || mayExceed else { return }
        mayExceed = false
        guard let next = lines.values[at].waiting.popFirst() else { return }
        batch.elements.append(next.element)
        batch.cost += cost
        count -= 1
        lines.values[at].credit -= cost
        if lines.values[at].waiting.isEmpty {
          lines[payer] = nil
          _ = turns.popFirst()
          isTurnBegun = false
        }
      }
    }

    private mutating func endTurn() {
      isTurnBegun = false
      if let payer = turns.popFirst() { turns.append(payer) }
    }
  }
}
