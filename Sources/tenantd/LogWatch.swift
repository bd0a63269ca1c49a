import Tenancy

/// Follows the log for changes of a kind.
enum LogWatch {
  /// Before a log that has failed is followed again.
  private static let patience = Duration.milliseconds(100)

  /// Until it is cancelled, or the control plane is closed.
  /// - Parameter wake: called at once, and after each such change that is applied, or may have been missed.
  static func follow(
    _ plane: ControlPlane, where isOfInterest: (Change) -> Bool, wake: () -> Void
  ) async {
    while !Task.isCancelled {
      let begin = plane.snapshot.state.revision
      let subscription = plane.subscribe(after: begin)
      if plane.snapshot.state.revision < begin { continue }
      // What was missed until now.
      wake()
      do throws(TenancyError) {
        for try await entry in subscription where entry.changes.contains(where: isOfInterest) {
          wake()
        }
        return
      } catch {
        // Begun anew, and not in a hurry.
        do { try await Task.sleep(for: patience) } catch { return }
      }
    }
  }
}
