/// A reader's own hold on the newest state: looks at one atomic, and takes the lock only when the
/// state has changed. Confined to one event loop.
public final class SnapshotReader {
  private let plane: ControlPlane
  /// An object of the thread's own: calls count references to it, and would take its cache line from each other.
  private var held: Snapshot

  /// For one thread, such as an event loop's.
  public init(_ plane: ControlPlane) {
    self.plane = plane
    held = Snapshot(plane.snapshot.state)
  }

  /// The newest acknowledged state.
  @inline(__always)
  public var snapshot: Snapshot {
    if plane.revision != held.state.revision { held = Snapshot(plane.snapshot.state) }
    return held
  }
}

/// One revision of the state, shared by all who read it.
public final class Snapshot: Sendable {
  /// What the snapshot is of.
  public let state: ControlState

  init(_ state: ControlState) { self.state = state }
}
