/// The open calls of a connection. Stream objects are used again; keys of earlier calls find nothing, as
/// each call has a number of its own.
///
/// `@exclusivity(unchecked)` where it is held: see `HTTP2ServerSession`.
struct StreamTable<Stream: ServerStream>: ~Copyable {
  /// Stream objects kept for reuse.
  private let maximumIdle = 64

  private var streams: [Stream?] = []
  private var freeSlots: [Int32] = []
  private var idle: [Stream] = []
  /// Calls opened so far: 0 is no call's number.
  private var generation: UInt64 = 0
  var opened: UInt64 { generation }

  var count: Int { streams.count - freeSlots.count }

  /// A stream object in a slot. The caller prepares it.
  mutating func open(_ make: () -> Stream) -> Stream {
    let stream = idle.popLast() ?? make()
    generation += 1
    stream.generation = generation
    if let slot = freeSlots.popLast() {
      stream.slot = slot
      streams[Int(slot)] = stream  // In range: slots are places of the array, which never shrinks.
    } else {
      stream.slot = Int32(streams.count)  // In range: as many as calls may be open.
      streams.append(stream)
    }
    return stream
  }

  /// The object may be used again at once. Nothing that names the call finds it any more.
  mutating func close(_ stream: Stream) {
    stream.generation = 0
    streams[Int(stream.slot)] = nil  // In range: see `open`.
    freeSlots.append(stream.slot)
    if idle.count < maximumIdle { idle.append(stream) }
  }

  /// Gives up what is kept for reuse.
  mutating func trim() {
    if !idle.isEmpty { idle = [] }
  }

  subscript(key: StreamKey) -> Stream? {
    // In range: keys are made by calls of this table.
    guard let stream = streams[Int(key.slot)], stream.generation == key.generation else {
      return nil
    }
    return stream
  }

  func forEach(_ body: (Stream) -> Void) {
    for case let stream? in streams { body(stream) }
  }
}

/// Calls that wait for something, in order of arrival.
///
/// An entry names a call, not an object: when the call is over or answered it is passed over, whatever the
/// object is used for by then. So nobody has to take a call out, and none is met twice.
struct CallQueue<Stream: ServerStream> {
  private struct Entry {
    let stream: Stream
    let generation: UInt64

    var isCurrent: Bool { stream.generation == generation && stream.awaitsResponse }
  }

  private static var leastSweep: Int { 64 }

  private var entries: [Entry] = []
  private var head = 0
  /// With so many entries, those that are not current are given up before there are more.
  private var sweepCount = Self.leastSweep

  /// Whether `popFirst` would return nothing.
  var isEmpty: Bool {
    @inline(__always)
    mutating get { head == entries.count || skipsToEnd() }
  }

  /// Entries held, current or not.
  var held: Int { entries.count }

  /// The call's place is behind all others. One that is there already keeps its place, too.
  mutating func append(_ stream: Stream) {
    if entries.count >= sweepCount { sweep() }
    entries.append(Entry(stream: stream, generation: stream.generation))
  }

  @inline(__always)
  mutating func popFirst() -> Stream? { entries.isEmpty ? nil : takeFirst() }

  private mutating func takeFirst() -> Stream? {
    guard !isEmpty else {
      entries.removeAll(keepingCapacity: true)
      head = 0
      return nil
    }
    head += 1
    return entries[head - 1].stream
  }

  /// Goes past entries that are not current.
  private mutating func skipsToEnd() -> Bool {
    while head < entries.count, !entries[head].isCurrent { head += 1 }
    return head == entries.count
  }

  /// Twice as many entries as there were current ones make it worth a look at all.
  private mutating func sweep() {
    entries.removeFirst(head)
    head = 0
    entries.removeAll { !$0.isCurrent }
    sweepCount = max(Self.leastSweep, 2 * entries.count)
  }
}
