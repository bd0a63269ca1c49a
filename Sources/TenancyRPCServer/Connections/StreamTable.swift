/// The open calls of a connection. Stream objects are used again; keys of earlier calls find nothing, as
/// each call has a number of its own.
///
/// `@exclusivity(unchecked)` where it is held: see `HTTP2ServerSession`.
struct StreamTable<Stream: ServerStream>: ~Copyable {
  /// Stream objects kept for reuse.
  private let maximumIdle = 64

  private var streams: [Stream?] = []
  /// Slots without a call: those whose object waits for the next, and those without.
  private var idleSlots: [Int32] = []
  private var emptySlots: [Int32] = []
  /// Calls opened so far: 0 is no call's number.
  private var generation: UInt64 = 0
  var opened: UInt64 { generation }

  var count: Int { streams.count - idleSlots.count - emptySlots.count }

  /// A stream object in a slot. The caller prepares it.
  @inline(__always)
  mutating func open(_ make: () -> Stream) -> Stream {
    generation += 1
    // In range: slots are places of the array, which never shrinks.
    if let slot = idleSlots.popLast(), let stream = streams[Int(slot)] {
      stream.generation = generation
      return stream
    }
    return add(make())
  }

  private mutating func add(_ stream: Stream) -> Stream {
    stream.generation = generation
    if let slot = emptySlots.popLast() {
      stream.slot = slot
      streams[Int(slot)] = stream  // In range: see `open`.
    } else {
      stream.slot = Int32(streams.count)  // In range: as many as calls may be open.
      streams.append(stream)
    }
    return stream
  }

  /// The object may be used again at once. Nothing that names the call finds it any more.
  mutating func close(_ stream: Stream) {
    stream.generation = 0
    if idleSlots.count < maximumIdle {
      idleSlots.append(stream.slot)
    } else {
      emptySlots.append(stream.slot)
      streams[Int(stream.slot)] = nil  // In range: see `open`.
    }
  }

  /// Gives up what is kept for reuse.
  mutating func trim() {
    guard !idleSlots.isEmpty else { return }
    for slot in idleSlots { streams[Int(slot)] = nil }  // In range: see `open`.
    emptySlots += idleSlots
    idleSlots = []
  }

  /// - Parameter key: of a call; nothing is found by the one of an object that is not in use.
  @inline(__always)
  subscript(key: StreamKey) -> Stream? {
    // In range: keys are made by calls of this table.
    guard let stream = streams[Int(key.slot)], stream.generation == key.generation,
      key.generation != 0
    else { return nil }
    return stream
  }

  func forEach(_ body: (Stream) -> Void) {
    for case let stream? in streams where stream.generation != 0 { body(stream) }
  }
}

/// Calls of a `StreamTable` that wait for something, in order of arrival.
///
/// An entry names a call, not an object: when the call is over or answered it is passed over, whatever the
/// object is used for by then. So nobody has to take a call out, and none is met twice.
struct CallQueue<Stream: ServerStream> {
  private static var leastSweep: Int { 64 }

  private var entries: [StreamKey] = []
  private var head = 0
  /// With so many entries, those that are not current are given up before there are more.
  private var sweepCount = Self.leastSweep

  /// False only if `popFirst` would return nothing.
  var mayHaveCalls: Bool {
    @inline(__always)
    get { head < entries.count }
  }

  /// Whether `popFirst` would return nothing.
  @inline(__always)
  mutating func isEmpty(_ table: borrowing StreamTable<Stream>) -> Bool {
    head == entries.count || skipsToEnd(table)
  }

  /// Entries held, current or not.
  var held: Int { entries.count }

  /// The call's place is behind all others. One that is there already keeps its place, too.
  @inline(__always)
  mutating func append(_ stream: Stream, _ table: borrowing StreamTable<Stream>) {
    if entries.count >= sweepCount { sweep(table) }
    entries.append(stream.key)
  }

  @inline(__always)
  mutating func popFirst(_ table: borrowing StreamTable<Stream>) -> Stream? {
    while head < entries.count {
      head += 1
      if let stream = Self.current(entries[head - 1], table) { return stream }
    }
    if head > 0 { forget() }
    return nil
  }

  private mutating func forget() {
    entries.removeAll(keepingCapacity: true)
    head = 0
  }

  @inline(__always)
  private static func current(
    _ key: StreamKey, _ table: borrowing StreamTable<Stream>
  ) -> Stream? {
    guard let stream = table[key], stream.awaitsResponse else { return nil }
    return stream
  }

  /// Goes past entries that are not current.
  private mutating func skipsToEnd(_ table: borrowing StreamTable<Stream>) -> Bool {
    while head < entries.count, Self.current(entries[head], table) == nil { head += 1 }
    return head == entries.count
  }

  /// Twice as many entries as there were current ones make it worth a look at all.
  private mutating func sweep(_ table: borrowing StreamTable<Stream>) {
    entries.removeFirst(head)
    head = 0
    var current: [StreamKey] = []
    for key in entries where Self.current(key, table) != nil { current.append(key) }
    entries = current
    sweepCount = max(Self.leastSweep, 2 * entries.count)
  }
}
