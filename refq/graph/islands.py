"""islands: which of the nodes that stay in float form one island, and in which order islands and integer nodes run."""


def ashore(graph, left):
    """The nodes of `graph` as groups in an order in which they can run: one node, or the nodes of an island.

    `left`: the names of the nodes that stay in float. Neighbours join where a tensor without a grid lies between them and no
    way from one to the other leads through integers: that would be a ring."""
    level, group = {}, {}
    for node in graph.nodes:
        makers = [graph.producers[name] for name in node.inputs if name in graph.producers]
        float_here = node.name in left
        joins = [m for m in makers if float_here and m.name in left and any(
            t in node.inputs and t not in graph.grids for t in m.outputs)]
        depth = 0
        for maker in makers:
            depth = max(depth, level[maker.name] + (maker.name in left) * (maker not in joins) + 0
                        + (float_here and maker.name not in left))
        level[node.name] = depth
        alike = [group[m.name] for m in joins if level[m.name] == depth]
        mine = [node]
        for other in {id(g): g for g in alike}.values():
            mine = other + mine
        for member in mine:
            group[member.name] = mine
    place = {node.name: i for i, node in enumerate(graph.nodes)}
    groups = {id(g): sorted(g, key=lambda n: place[n.name]) for g in group.values()}
    return sorted(groups.values(), key=lambda g: (level[g[0].name], place[g[0].name]))
