"""What the tour says, with places for a picture's own numbers: Python and the live page fill the same sentences."""

ENOUGH = "the rest of the network can do what is hard"
SURE = "the ARM is surer than {theta:set} that nothing is there"

TOUR = {  # of each kind of stop its title and its text, as `vedette.glass.say` fills them
    "found": (
        "What was found",
        "The detector found {count|no objects|one object|# objects} here: {named}. The number is a score from 0 to 1; "
        "those of at least {floor:set} are told. We shall follow {count||it|the strongest, the {name},} from the "
        "very beginning.",
    ),
    "found nothing": (
        "What was found",
        "No box reached a score of {floor:set}, so nothing was found in this picture. What came nearest was {name:a} "
        "with {score:share}. We shall follow it and see why.",
    ),
    "nothing to look at": (
        "What was found",
        "No box reached a score of {floor:set}, so nothing was found in this picture. There was nothing to look at "
        "either.",
    ),
    "anchors": (
        "Boxes everywhere",
        "The network does not search. It puts {count|no boxes|one box|# boxes}, the anchors, over the picture in fixed "
        "places, on {levels||a grid|grids} of {grids} cells, and asks of each what is there."
        "{levels||| Fine grids have the small boxes.}",
    ),
    "regions": (
        "Where to look",
        "Before any network looked, selective search marked {count|no regions|one region|# regions} of like colour and "
        "texture as what may be an object. No other place will be looked at.",
    ),
    "one anchor": (
        "One of them",
        "The {name} began as anchor {anchor}: {wide:plain0} × {high:plain0} pixels of the picture, around the cell in "
        "row {row} of {rows}, column {column} of {columns}, on the grid with a cell every {stride:plain1} pixels. Its "
        "overlap (IoU) with the box that we end with is {overlap:hundredths}.",
    ),
    "one region": (
        "One of them",
        "The {name} began as region {number}, {wide:plain0} × {high:plain0} pixels large. Its overlap (IoU) with the "
        "box that we end with is {overlap:hundredths}.",
    ),
    "objectness": (
        "Is there anything at all?",
        "First the {who} asks only whether there is any object. For our anchor it says {score:share}; "
        "{better|no others are|one other is|# others are} more certain.",
    ),
    "easy": (
        "What is surely nothing",
        f"{{easy|Of no anchor is the ARM surer than {{theta:set}} that nothing is there: all go on.|Of one anchor "
        f"among {{count}} {SURE}. It is easy, and nobody asks what it is: {ENOUGH}.|Of # anchors among {{count}} "
        f"{SURE}. They are easy, and nobody asks what they are: {ENOUGH}.}}",
    ),
    "first move": (
        "The first move",
        "It also moves the anchor: {move}. The overlap with the box that we end with goes from {before:hundredths} to "
        "{after:hundredths}.",
    ),
    "proposals": (
        "Proposals",
        "The best {picked:words} of these boxes compete: a box goes where a better one overlaps it by more than "
        "{iou:set}. {^gone:alone} went, and {kept|no proposals|one proposal|# proposals} stayed. All that follows "
        "happens in them alone.",
    ),
    "scores": (
        "What is it?",
        "Now the network names it: {name} with {score:share}.{others|| Next comes {next} with {next_score:share}.} So "
        "it goes for every {thing} and every class, {came|no pairs|one pair|# pairs} in all; "
        "{on|none has|one has|# have} {floor:set} or more.",
    ),
    "last move": ("The last move", "The box moves a second time: {move}. There we see it."),
    "only move": ("The move", "The box moves: {move}. There we see it."),
    "no crowd": (
        "One object, one box",
        "No other box of {name:a} overlaps it enough to be {soft|dropped|weakened}.",
    ),
    "crowd": (
        "One object, one box",
        "{^count||one other box says|# other boxes say} {name} and {count||overlaps|overlap} it. Ours has the highest "
        "score and {soft|drops|weakens} {count||it|them}: the best of them has {score:share} and an overlap (IoU) of "
        "{overlap:apart iou} with ours{soft|, more than the {iou:set} that are allowed|, and the more they overlap the "
        "weaker it gets}.",
    ),
    "suppressed by ours": (
        "Why not the second?",
        "The best candidate that did not make it is {name:a} with {score:share}. It was suppressed by our {name}: the "
        "two overlap with an IoU of {overlap:hundredths}.",
    ),
    "suppressed by another": (
        "Why not the second?",
        "The best candidate that did not make it is {name:a} with {score:share}. It was suppressed by another {name} "
        "({better:share}): the two overlap with an IoU of {overlap:hundredths}.",
    ),
    "weakened": (
        "Why not the second?",
        "The best candidate that did not make it is {name:a} with {score:share}. Better ones of its class weakened it "
        "to {after:share}; the one that overlaps it most does so with an IoU of {overlap:hundredths}.",
    ),
    "gone": (
        "Why not the second?",
        "The best candidate that did not make it is {name:a} with {score:share}. It went because it is {fate}.",
    ),
    "lost": (
        "Where it ended",
        "Here its way ends: {name:a} with {score:share} is {fate}. Nothing else came as near.",
    ),
    "near miss": (
        "Just missed",
        "Under the floor the highest score is {score:apart floor}, of {name:a} {reached|where nothing was found|on the "
        "{other} that was found}. Had you asked for a score below {floor:set}, it would have gone on to the next step. "
        "Lower floors find more, and more of it is wrong.",
    ),
    "several looks": (
        "Several looks",
        "The picture was looked at {looks:words} times. The looks found {came|no boxes|one box|# boxes} together; "
        "suppression over all of them left {on:alone}.{ours|| Ours is of look {look} ({view}), and "
        "{gone|no boxes|one box|# boxes} of all looks {soft|gave way|lost score} to it.{voters|| No other of its class "
        "votes on where it lies.| It lies where # boxes of its class lie in the mean, by their scores.}}",
    ),
    "end": (
        "Now you",
        "That is the whole way, from {thing}s to what was found: {way}. Where the number grows, each box has become "
        "one pair with every class. Move the sliders to see what another floor or another overlap would have found, "
        "and click anywhere on the picture to ask which step lost what you see there.",
    ),
}
MOVE = (  # in sentences above: right and low say where to, 1 or 0
    "by {across:plain0} to the {right|left|right} and {along:plain0} {low|up|down} in pixels of the picture, to "
    "{wide:hundredths} times its width and {high:hundredths} its height"
)
NO_MOVE = "by less than half a pixel of the picture"
