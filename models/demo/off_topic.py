"""Generates questions that have nothing to do with the app, so that the demo learns to decline.

Five kinds: templates over a wide vocabulary, written questions, requests that use the app's own words
in another sense, nonsense, and the app's own questions with their subject swapped for something else.
The held-out questions in off_topic_held_out.json were written apart from these lists.
"""

import random

NOUNS = """apple bread car dog house river mountain guitar piano football tennis garden tomato potato carrot soup pizza pasta cake cookie cheese
coffee tea wine beer milk butter sugar salt pepper rice chicken beef fish salmon egg banana orange lemon grape strawberry cherry horse cow pig sheep cat
bird eagle lion tiger elephant whale shark spider bee ant frog snake dinosaur dragon unicorn moon sun star planet galaxy rocket satellite ocean island desert
forest tree flower rose grass rain snow storm wind cloud thunder earthquake volcano king queen president war peace law court judge police thief bank money
tax salary job boss school teacher student exam homework book novel poem story song movie film actor painter museum opera theatre dance ballet violin drum
trumpet camera photo painting sculpture castle bridge tower church temple pyramid city village street train bus airplane ship bicycle motorcycle truck taxi
hotel beach holiday passport ticket suitcase umbrella hat shirt shoe dress jacket ring watch mirror lamp table chair bed sofa kitchen oven fridge toilet
bathroom window door roof wall floor stair brick wood stone iron gold silver copper diamond glass paper pencil pen ink knife fork spoon plate cup bottle
doctor nurse hospital medicine pill headache fever cough cancer heart brain blood bone muscle skin hair tooth eye ear nose hand foot baby mother father
brother sister uncle grandmother wedding birthday christmas easter halloween gift toy doll chess poker puzzle football team goal referee olympics marathon
swimming yoga gym diet vitamin protein calorie recipe restaurant waiter menu tip farm tractor wheat corn cotton wool silk leather oil gas coal electricity battery
magnet atom molecule electron gravity energy light sound heat temperature pressure equation triangle circle integral fraction prime algebra geometry probability
history philosophy religion psychology economy inflation election democracy parliament constitution stock bond bitcoin mortgage insurance pension loan debt
language grammar verb spelling alphabet haiku limerick joke riddle rumour dream sleep love marriage divorce friendship anger happiness fear tattoo haircut
perfume makeup jeans sneakers carpet curtain candle soap shampoo towel broom vacuum hammer nail screwdriver saw drill ladder paint glue rope tent campfire
fishing hunting hiking skiing surfing sailing cruise lighthouse harbour canal tunnel subway airport pilot captain sailor soldier knight wizard witch ghost vampire
zombie robot alien spaceship telescope microscope thermometer clock calendar compass globe map flag anthem coin stamp postcard newspaper magazine television radio
podcast vlog meme hashtag influencer celebrity singer rapper band concert festival carnival parade circus clown magician zoo aquarium butterfly beetle worm snail turtle
crocodile penguin polar-bear kangaroo koala panda giraffe zebra camel donkey goat duck goose turkey parrot owl peanut almond walnut chocolate vanilla cinnamon ginger
garlic onion cucumber lettuce spinach broccoli mushroom pumpkin pancake waffle sandwich burger sausage bacon steak sushi taco curry noodle dumpling lasagne risotto spaghetti
html css java rust haskell kotlin php excel spreadsheet powerpoint photoshop instagram facebook tiktok youtube netflix spotify whatsapp gmail iphone android playstation minecraft
fortnite tesla wikipedia google amazon reddit twitter kubernetes docker regex compiler pointer recursion hashmap quicksort blockchain""".split()
PEOPLE = """einstein newton darwin napoleon shakespeare mozart beethoven picasso cleopatra caesar lincoln gandhi mandela tolkien homer plato aristotle galileo
columbus edison tesla curie turing bach goethe kafka dante hemingway tolstoy rembrandt monet chaplin hitchcock elvis madonna beyonce messi ronaldo federer bolt""".split()
PLACES = """paris london berlin rome madrid tokyo beijing moscow new-york chicago sydney cairo delhi toronto brazil france germany italy spain japan china india russia
canada mexico egypt kenya nigeria australia norway sweden finland poland greece turkey iceland ireland scotland portugal argentina chile peru vietnam thailand korea
texas california alaska hawaii africa europe asia antarctica mars jupiter venus saturn everest amazonas nile sahara""".split()
VERBS = """cook bake boil fry grill peel clean wash paint repair build fix sell buy rent plant grow water cut sew knit draw play learn teach sing write read
drive ride fly catch train feed pet milk shear carve polish melt freeze weigh measure calculate solve prove translate spell pronounce invent discover explain
win lose throw kick climb jump swim juggle photograph film record decorate wrap mail deliver import export tax insure invest recycle bury dig drill weld sand
glue tie fold iron dry dye bleach hack program compile debug sort reverse concatenate plot integrate differentiate factor delete remove create rename open start stop
join leave invite connect share lend store find add change approve install set-up use choose switch""".split()
ADJ = """best worst cheapest biggest smallest oldest fastest tallest deepest strongest healthiest prettiest most-famous most-expensive most-dangerous average first last red
blue green ancient modern french italian chinese wild frozen fresh broken electric wooden plastic vegan spicy sweet""".split()
TEMPLATES = """how do i {v} a {n}|how do i {v} {n} with {n}|what is the {a} {n} in {p}|what is the {a} {n}|who invented the {n}|why is the {n} {a}|when was {who} born|who was {who}
what is the capital of {p}|how far is {p} from {p}|what is the weather in {p}|write a {n} about {n}|write me a poem about {n}|tell me a joke about {n}|tell me a story about a {n}
translate {n} into {lang}|how do you say {n} in {lang}|what is {num} plus {num}|what is {num} times {num}|calculate {num} - {num}|{num} + {num}|solve x + {num} = {num}
how many {n}s are in a {n}|how much does a {n} cost|is {n} good for my {n}|can i {v} a {n} in {p}|where can i buy a {n}|recommend a {n} for my {n}|what should i {v} in {p}
explain {n}|what is a {n}|what is {n}|define {n}|how does a {n} work|why do {n}s {v}|what does {n} mean|give me a recipe for {n} {n}|who won the {n} in {year}|what happened in {year}
write code to {v} a {n}|write a function that {v}s a {n} in {code}|how do i {v} a {n} in {code}|my {n} hurts what should i do|should i {v} my {n}|which {n} should i {v}
list ten {n}s|name three {n}s in {p}|summarise the {n}|what do you think about {n}|do you like {n}|what is your favourite {n}|is the {n} {a} than the {n}|difference between {n} and {n}
{n}|{n} {n}|{v} {n}|{a} {n}|{p}|{who}|i want to {v} a {n}|i need a {n}|my {n} is {a}|my {n} does not {v}|the {n} is broken|plan a trip to {p}|what time is it in {p}|how old is {who}
what is the population of {p}|who is the president of {p}|what did {who} say about {n}|compare {who} and {who}|can a {n} {v}|are {n}s {a}|where do {n}s live|how long does a {n} live
how do i get to {p}|how do i become a {n}|how can i {v} my {n} without a {n}|what is the meaning of {n}|help me {v} my {n}|i lost my {n}|do i need a {n} for {p}|is there a {n} in {p}
how tall is {p}|what colour is a {n}|where is {p}|where is my {n}|how do i {v} {n}|what is the square root of {num}|convert {num} {n} to {n}|draw a {n}|sing a song about {p}
give me tips for {n}|what is the history of {p}|how do i {v} a {a} {n}|what are {n}s made of|when is {n}|does {p} have a {n}|can you {v} a {n}|act as a {n}|pretend to be {who}
what does a {n} error mean|what does it mean when a {n} {v}s|what does it mean when my {n} {v}s|teach me how to {v}|teach me {n}|are {n}s real|is {who} real|how can i join the {n}|why do {n}s turn {a}
how can i add a {n} in {prod}|how do i {v} a {n} in {prod}|how do i use {prod}|what is the best {app} from {p} to {p}|what does {n} {app} mean|explain the {n} of {p}|where can i learn {n}|i feel {a}
who can help me with my {n}|is it safe to {v} a {n}|is it free to {v} the {n}|do i have to {v} the {n} before i {v} it|must i {v} my {n}|can anyone {v} a {n}|how long does it take to {v} a {n}|which {app} has the {a} {n}
does a {n} need {n}|what are the {n}s in {p}|who is in the {n} of {p}|what if the {n} is {a}|my {n} {v}s|the {n} takes too long to {v}|how do i {v} out of a {n}|what happens when a {n} {v}s|is the {n} still {a}
{who} {n}|what can a {n} do|how big is a {n}|how many {n}s are there|are you a {n}|are you {a}|do you know {who}|what is your {n}|which {n} are you|who is your {n}|can you {v}|you are a {n}
what is the price of {n}|who wrote the {n}|which is better {n} or {n}|why did {who} {v} the {n}|how deep is the {n}|i am {n}|i feel like a {n}|let us {v} the {n}|do you have a {n}
how do i {v} my {app} {n}|what is the {a} {app} for a {n}|what is a {n} {app}|delete my {n} {app}|how do i {v} the {app} of a {n}|create a {app} for my {n}|where is the {app} of {p}
how do i {v} a {n} {app} in {p}|which {app} does {who} use|what is the {app} of {n}|how do i {v} a {app} of {n}|is a {app} good for {n}|rename my {n} {app}|{n} {app}
do i need a {app} to {v} a {n}|how many {app}s does a {n} have|open the {n} {app}|how do i connect a {n} to a {n}|add a {n} to the {n}|how do i switch to {n}|can i lend my {n}""".replace("\n", "|").split("|")
LANGS = "french german spanish latin greek polish japanese korean arabic hindi turkish dutch swedish hebrew".split()
PRODUCTS = "word excel powerpoint gmail photoshop gimp blender whatsapp instagram facebook youtube spotify windows android steam zoom slack notion figma wordpress paypal ebay git docker vim".split()
CODES = "python java rust c javascript sql haskell bash excel go matlab".split()
CODE_LINES = """def {n}({n}):|    return {n} + {num}|for {n} in {n}:|if {n} == {num}: {v}()|x = {num}|{n} = [{num}, {num}]|print({n})|function {n}() {|}|let {n} = {num};|# {v} the {n}|import {n}
select {n} from {n} where {n} > {num};|<div>{n}</div>|- {n}|{num}. {n}|{n}: {num}|error: {n} is not a {n}|what does this do|{who}, {num}""".replace("\n", "|").split("|")
APP_WORDS = "network device model engine code invite chat knock route settings account daemon server key answer conversation api command member founder relay folder prompt token status".split()
WRITTEN = """what is a neural network|how does a diesel engine work|which search engine is the best|what is the postal code of vienna|what is the dress code for a wedding|tell me a knock knock joke
how do i knock down a wall|how do i write a wedding invite|what is the fastest train route to milan|which car model should i buy|who is the top model of the year|how do i join two tables in sql
how do i become a member of parliament|who is the founder of microsoft|which doctor should i see for back pain|how do i delete my instagram account|how do i rename a column in excel
how do i open a bank account|can you lend me money|how do i share a photo on facebook|what is a medical device|how do i train for a marathon|what is the area code of boston
how do i remove a stain from a shirt|how do i approve a mortgage|what is the speed of light|write a python script that sorts a list|what is the meaning of life|what is the airspeed of a swallow
how do i tie a tie|who painted the mona lisa|how many legs does a spider have|is the earth flat|what is the tallest building|how do i lose weight|what should i eat for dinner|is it going to rain tomorrow
what day is it today|what time is it|who will win the election|what is the news today|what is the stock price of apple|write an essay about climate change|write an email to my boss
summarise this text for me|fix the grammar of this sentence|give me a recipe for lasagne|sing me a song|tell me a joke|tell me a story|do you love me|will you marry me|can you dance
what is your favourite colour|how old are you|where do you live|what did you eat today|do you dream|what is the best phone|how do i root my android|how do i install python|how do i install windows
how do i reverse a linked list|what is a pointer in c|explain quantum physics|explain relativity|what is photosynthesis|how do vaccines work|what is a black hole|how do airplanes fly|how is glass made
who was the first man on the moon|when did the second world war end|what caused the french revolution|how do i start a fire|how do i start a business|how do i stop smoking|how do i stop a nosebleed
how do i connect to bluetooth headphones|how do i connect my printer|how do i reset my router password|how do i change a tyre|how do i change my hair colour|how do i set up a tent|how do i add fractions
how do i use chopsticks|how do i use a compass|what is a good name for a dog|what is the law of large numbers|what is an adjective|what is the opposite of hot|how do you spell necessary
translate good morning to french|what is 2 + 2|what is seven times eight|what is the capital of france|which country is the largest|how many people live on earth|what is the largest ocean
what is the cheapest flight to rome|book a table for two|order a pizza|call my mother|set an alarm for seven|play some music|turn on the lights|remind me to buy milk|what is on television tonight
open the garage door|start the car|stop the music|delete the third column|create a birthday card|make a sandwich|make a website|make me laugh|write a haiku|write a letter to santa
generate an image of a cat|draw me a picture|edit my video|is milk healthy|are cats smarter than dogs|can dogs eat grapes|why is the sky blue|why do we yawn|why do cats purr|what do bees eat
how do i approve a leave request at work|how do i deny a claim|when does my passport expire|when does milk expire|what does a lighthouse do|how does a relay race work|what is a relay in electronics
what is the status of my order|what is the status of my flight|where is my package|is my bank safe|how do i encrypt a hard disk|is tap water safe|what is an api in general economics|what is dark matter
how do i make dark chocolate|what is the dark web|how do i kill weeds|how do i serve a tennis ball|how do i serve wine|how do i list items in latex|what is a prime minister|what is the doctor who theme
write a unit test for my class|explain recursion|what is a hash table|what is kubernetes|how do i merge branches in git|how do i centre a div|what is a closure in javascript|explain this error segmentation fault
give me a list of countries|give me an idea for a gift|what are good books|recommend a movie|who is the best singer|who won the world cup|when is easter|how do i celebrate new year|what is karma
how do i invite people to my birthday party|how do i name my baby|what is a good password for my bank|how do i share my netflix|how do i rename my cat|how do i stop my dog from barking|who sees the northern lights
how much does a house cost|how much does a car cost in germany|do i need a visa|do i need a driving licence|is there a train to paris|can i fly with a baby|can i eat raw eggs|does chocolate contain caffeine
does it snow in spain|does my dog need a coat|where are the pyramids|where is my phone|which planets have rings|what languages are spoken in india|which language should i learn|how do i speak better english
are you married|are you hungry|are you a cat|are you from mars|do you have children|do you like pizza|do you believe in god|what do you think of politics|who should i vote for|can you drive|can you see me
tell me about the weather|tell me about football|tell me about dogs|tell me about the roman empire|tell me about black holes|describe a sunset|describe the taste of salt|describe your family
what is a network of roads|how do i grow a network of carrots|what is a device for peeling apples|how do i build a model airplane|what is the model number of my fridge|how do i clean a car engine
how do i decode a secret message|what is morse code|what is the zip code|which chat show is the best|how do i chat up a girl|what is a group chat on whatsapp|how do i start a conversation with a stranger
how do i set the table|what settings should i use on my camera|what is the best route for a bicycle tour|how do i read a route map|how do i answer a job interview question|what is the answer to everything
how do i find a lost key|what is a piano key|which key is this song in|how do i become a founder of a startup|what is a board member|how do i fold a paper|in which folder are photos on my iphone
how do i mute someone in zoom|how do i insert a footnote in word|what does a syntax error mean|what does stack overflow mean|what does error 404 mean
why does my program say index out of range|how do i undo a commit|how do i learn to code in c|teach me the basics of chess|teach me spanish
are ghosts real|are unicorns real|is bigfoot real|is santa real|how can i join a gym|how do i join a choir
why do cats have whiskers|why do apples turn brown|why does bread go stale|why do birds migrate
which route does bus seven take|why does my engine overheat|my engine light is on|knock on wood what does that mean
who is knocking at my door|how do i knock out a boxer|what is a vpn and which should i buy|how do i make a pivot table|how do i crop a photo
how do i block a caller|how do i block a user on instagram|how do i recover my gmail password|how do i sign up for netflix
how do i delete my google account|is whatsapp encrypted|is my bank account safe|is tiktok spying on me|is the cloud made of water|how do clouds form
what is cloud computing|who pays for roads|does the museum cost money|is the zoo free on sundays|how expensive is a horse|does the train run on sundays
does the shop open early|is there a bus to the airport|does the pool open today|is breakfast included|which platform does my train leave from
what platform is the train on|are snakes encrypted|are potatoes vegetables|is a tomato a fruit|can cows swim|can fish fly|can penguins fly
is glass a liquid|is fire alive|is water wet|what do you eat|what do you look like|do you sleep|do you have friends|do you have hobbies
where are you from|when were you born|what is your favourite song|what is your favourite animal|what is your favourite food|can you cook|can you sing
can you write a song|can you write code|can you solve equations|can you help me with my homework|can you help me with my taxes|can you book a hotel
can you recommend a book|can you play chess|can you order food|can you tell the future|i am bored|i am hungry|i am tired|i am sad|i love you
i hate mondays|i am cold|i broke my leg|i cannot sleep|i lost my keys|i lost my wallet|i need money|i need a hug|i want to dye my hair|i want pizza
my dog is sick|my boss is mean|she left me|it is raining|the sky is blue|the moon is full|my cake is burnt|my car is broken|my phone is dead
the train is late|the milk is sour|the food is cold|lights off|next song|tomorrow|monday|money|love|cats|42|1 + 1|100 / 4|do i need a driving permit
do i need a coat|do i need a lawyer|do i have to pay tax|do i have to feed the cat|must i wear a helmet|should i go to the doctor
when should i see a doctor|is a doctor needed for a cold|who is the best doctor in town|what is the status of ukraine|what is the status of my visa
what is the founder effect|who founded rome|who founded apple|what is a family member|what does a band member do|how many members does the eu have
what is a relay switch|how do i remove a tattoo|how do i remove a tick|how do i remove ink|how do i delete a contact on my iphone
how do i rename a file in windows|how do i rename a variable|how do i approve a pull request|how do i approve a budget|how do i deny an allegation
how do i stop a cough|how do i stop a running toilet|how do i stop a train|how do i cancel my gym membership|how do i cancel a flight
how do i cancel netflix|how do i interrupt politely|how do i speed up my metabolism|how do i share a recipe|how do i share my location
how do i lend a book|can i borrow your car|how do i borrow money|who lends money|how do i switch banks|how do i switch careers|how do i leave a party
how do i leave my husband|how do i quit my job|how do i leave a review|how do i change a nappy|how do i change my name|how do i change my address
how do i change the oil|how do i change a tire|how do i open a can|how do i open a door without a key|how do i open a restaurant
how do i open a wine bottle|how do i add oil|how do i add numbers|how do i add a friend on facebook|how do i add a page number|how do i install a shelf
how do i install a sink|how do i install photoshop|how do i set the clock|how do i set a trap|how do i set up a trust fund|how do i start a band
how do i start a diet|how do i start a fight|how do i start a new life|how do i start a blog|how do i create a garden|how do i create a budget
how do i create a logo|how do i make a snowman|how do i make friends|how do i make new shoes fit|how do i find a job|how do i find my phone
where do i find gold|where can i find a dentist|where can i create art|where do i put the plates|where do i buy stamps|where is the toilet
where is the exit|where is my mother|which folder holds tax papers|who made the pyramids|who created the internet|who trained the horse
who wrote the bible|who built rome|what were you thinking|what is training for a marathon|how was your holiday|what is your phone number
what is your address""".replace("\n", "|").split("|")
GENERIC = set("""how do i can what is the a an to of in my where which who why when does it with and or for on from this that there are you me not be will should must need have has get use
make create delete remove open start stop show list change add set up choose find see new another other old all any more one two several many big small best good first last tell about explain
mean work does did was were want would like could need know use using put write read say run move keep save send give take go turn connect join leave name rename share edit your out off
if at by as than so then after before between into only just still too each every""".split())
SYLLABLES = "ba be bi bo bu da de di do du fa fe fi ga go gu ka ke ki ko la le li lo lu ma me mi mo mu na ne no nu pa pe pi po ra re ri ro ru sa se si so ta te ti to tu va ve vi wa wo za zo zu tra ble ster ment tion ing ous ick ump orp quix zy thr str gl fl br cl".split()


def invented_word(rnd: random.Random) -> str:
    """A word that does not exist, or a run of random letters."""
    if rnd.random() < 0.25:
        return "".join(rnd.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rnd.randrange(2, 9)))
    return "".join(rnd.choice(SYLLABLES) for _ in range(rnd.randrange(2, 4)))


def pick(words: list[str], rnd: random.Random) -> str:
    """A word of the list, or one time in six an invented one."""
    return invented_word(rnd) if rnd.random() < 0.17 else rnd.choice(words).replace("-", " ")


def fill(template: str, rnd: random.Random) -> str:
    """Fills each slot of a template on its own."""
    slots = {"{n}": NOUNS, "{v}": VERBS, "{a}": ADJ, "{p}": PLACES, "{who}": PEOPLE, "{lang}": LANGS, "{code}": CODES, "{prod}": PRODUCTS, "{app}": APP_WORDS}
    for slot, words in slots.items():
        while slot in template:
            template = template.replace(slot, pick(words, rnd), 1)
    while "{num}" in template:
        template = template.replace("{num}", str(rnd.randrange(1, 10 ** rnd.randrange(1, 5))), 1)
    return template.replace("{year}", str(rnd.randrange(1000, 2030)))


def nonsense(rnd: random.Random) -> str:
    """Random words, letters or digits."""
    roll = rnd.random()
    if roll < 0.4:
        return " ".join(invented_word(rnd) for _ in range(rnd.randrange(1, 7)))
    if roll < 0.7:
        return " ".join(rnd.choice(NOUNS + VERBS + PLACES) for _ in range(rnd.randrange(2, 9)))
    if roll < 0.8:
        return "".join(rnd.choice("0123456789+-*/=.,;!?#%&()[]{}<>") for _ in range(rnd.randrange(3, 14)))
    return " ".join(rnd.choice(sorted(GENERIC)) if rnd.random() < 0.5 else pick(NOUNS, rnd) for _ in range(rnd.randrange(4, 14)))


def swap_subject(question: str, rnd: random.Random) -> str:
    """An app question whose every telling word is replaced by something else."""
    return " ".join(w if w in GENERIC else pick(NOUNS, rnd) for w in question.split())


def long_text(rnd: random.Random) -> str:
    """Something pasted: a passage, lines of code, or one word or letter over and over."""
    roll, some = rnd.random(), rnd.randrange(2, 9)
    if roll < 0.5:
        return rnd.choice([". ", "\n", "? ", ", ", "\n\n"]).join(fill(rnd.choice(TEMPLATES), rnd) for _ in range(some))
    if roll < 0.7:
        return "\n".join(fill(rnd.choice(CODE_LINES), rnd) for _ in range(some))
    unit = rnd.choice(["abcdefghijklmnopqrstuvwxyz"[rnd.randrange(26)], rnd.choice(NOUNS) + " ", " ".join(rnd.choices(sorted(GENERIC), k=3)) + " ", fill("{n} {v}. ", rnd)])
    return unit * int(2 ** rnd.uniform(2, 6))


def off_topic(app_questions: list[str], rnd: random.Random) -> str:
    """One off-topic question before `phrasing.vary`; `app_questions` feeds the subject swap."""
    roll = rnd.random()
    if roll < 0.48:
        return fill(rnd.choice(TEMPLATES), rnd)
    if roll < 0.72:
        return rnd.choice(WRITTEN)
    if roll < 0.79:
        return nonsense(rnd)
    if roll < 0.95:
        question = rnd.choice(app_questions)
        swapped = swap_subject(question, rnd)
        return swapped if swapped != question else fill(rnd.choice(TEMPLATES), rnd)
    return long_text(rnd)
