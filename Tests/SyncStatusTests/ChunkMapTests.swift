import SyncStatus
import Testing

@Suite("The chunk map")
struct ChunkMapTests {
  private func json(_ map: ChunkMap) -> String { String(decoding: map.json(session: "s", time: 0), as: UTF8.self) }

  @Test("each chunk has a cell that shows where it is; what nobody tells of is open")
  func small() {
    var map = ChunkMap(chunksTotal: 6)
    map.add(0, .evicted)
    map.add(1, .stored)
    map.add(2, .sending)
    map.add(3, .sealed)
    map.add(4, .open)
    map.add(6, .stored)

    #expect(json(map).contains(#""cells":"-#>=..""#))
    #expect(json(map).contains(#""chunks":{"open":2,"sealed":1,"sending":1,"stored":1,"evicted":1}"#))
    #expect(json(map).contains(#""chunks_total":6,"chunks_per_cell":1"#))
  }

  @Test("a long recording has at most 512 cells, and a cell shows the least safe of its chunks")
  func large() {
    var map = ChunkMap(chunksTotal: 1_000_000)
    for index in 0..<1_000_000 where index != 700_000 { map.add(index, index == 5 ? .sealed : .stored) }

    #expect(map.cells.count == 512)
    #expect(map.chunksPerCell == 1_954)
    let cells = json(map).split(separator: "\"cells\":\"")[1].prefix { $0 != "\"" }
    #expect(cells.first == "=")
    #expect(cells.count { $0 == "." } == 1)
    #expect(Array(cells)[700_000 / 1_954] == ".")
    #expect(cells.count { $0 == "#" } == 510)
  }

  @Test("an empty recording has no cells", arguments: [0])
  func empty(count: Int) { #expect(json(ChunkMap(chunksTotal: count)).contains(#""cells":"""#)) }

  @Test("cells are never more than the limit, and cover every chunk", arguments: [1, 511, 512, 513, 1_024, 1_025, 10_000_000])
  func sizes(count: Int) {
    let map = ChunkMap(chunksTotal: count)
    #expect(map.cells.count <= ChunkMap.cellsMax)
    #expect(map.cells.count * map.chunksPerCell >= count)
  }
}
