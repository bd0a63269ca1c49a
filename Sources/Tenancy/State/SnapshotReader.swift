/// A reader's own hold on the newest state: looks at one atomic, and takes the lock only when the
/// state has changed. Confined to one event loop.
public final class SnapshotReader {
  private let plane: ControlPlane
  private var held: Snapshot

  /// For one thread, such as an event loop's.
  public init(_ plane: ControlPlane) {
    self.plane = plane
    held = plane.snapshot
  }

  /// The newest acknowledged state.
  @inline(__always)
  public var snapshot: Snapshot {
    if plane.revision != held.state.revision { held = plane.snapshot }
    return held
  }
}

/// One revision of the state, shared by all who read it.
public final class Snapshot: Sendable {
  /// What the snapshot is of.
  public let state: ControlState

  init(_ state: ControlState) { self.state = state }
}
