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
  /// Calls opened so far.
  private var generation: UInt64 = 0

  var count: Int { streams.count - freeSlots.count }

  /// A stream object in a slot. The caller prepares it.
  mutating func open(_ make: () -> Stream) -> Stream {
    let stream = idle.popLast() ?? make()
    generation += 1
    stream.generation = generation
    if let slot = freeSlots.popLast() {
      stream.slot = slot
      streams[Int(slot)] = stream
    } else {
      stream.slot = Int32(streams.count)
      streams.append(stream)
    }
    return stream
  }

  /// The object may be used again at once.
  mutating func close(_ stream: Stream) {
    streams[Int(stream.slot)] = nil
    freeSlots.append(stream.slot)
    if idle.count < maximumIdle { idle.append(stream) }
  }

  /// Gives up what is kept for reuse.
  mutating func trim() {
    if !idle.isEmpty { idle = [] }
  }

  subscript(key: StreamKey) -> Stream? {
    guard let stream = streams[Int(key.slot)], stream.generation == key.generation else {
      return nil
    }
    return stream
  }

  func forEach(_ body: (Stream) -> Void) {
    for case let stream? in streams { body(stream) }
  }
}

/// Calls that wait to be served, in order of arrival. What is taken is given up in batches, so that a
/// queue that is never empty does not grow.
struct ReadyQueue<Stream: ServerStream> {
  private var streams: [Stream] = []
  private var head = 0

  var isEmpty: Bool { head == streams.count }

  mutating func append(_ stream: Stream) { streams.append(stream) }

  mutating func popFirst() -> Stream? {
    guard head < streams.count else {
      streams.removeAll(keepingCapacity: true)
      head = 0
      return nil
    }
    head += 1
    return streams[head - 1]
  }

  /// Between batches.
  mutating func compact() {
    if head > 0 {
      streams.removeFirst(head)
      head = 0
    }
  }

  mutating func remove(_ stream: Stream) {
    compact()
    streams.removeAll { $0 === stream }
  }
}
