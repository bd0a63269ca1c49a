@testable import Tenancy
@testable import TenancyServer

/// Where a client says that its watch was.
let watchTargets: [FuzzTarget] = [
  FuzzTarget("watch-token") {
    let places: [(changes: Int, seen: WatchPlace.Seen)] = [
      (0, .all), (7, .all), (0, .through(nil)),
      (2, .through(TenantID.generate(atMilliseconds: 1_700_000_000_000))),
    ]
    return places.map { place in
      let changes = TenantChangePlace(revision: 1 << 40, changes: place.changes)
      return Array(
        WatchPlace(store: .max, changes: changes, seen: place.seen).text(question: "q").utf8)
    }
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    let place: WatchPlace
    do throws(TenancyError) {
      place = try WatchPlace(parsing: text, question: "q")
    } catch {
      return try checkEqual(error.violations.map(\.field), ["resume_token"], "what is refused")
    }
    // What was understood is told again alike, and goes on somewhere.
    let again = place.text(question: "q")
    try check(again.utf8.count <= WatchPlace.maximumLength, "its length")
    try checkEqual(try WatchPlace(parsing: again, question: "q"), place, "parsed again")
    try check(place.changes.revision < UInt64(Int64.max), "there is a next revision")
  }
]
