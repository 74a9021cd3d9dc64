"""Word pools of the corpus; they are large, so that a model must copy from its prompt."""

# ruff: noqa: SIM905 - a list of words reads best as text

from __future__ import annotations

# Words for the last evaluation alone: no document has them.
RESERVED_NAMES = """
Ambrose Blanche Cosima Delphine Eberhard Frieda Ghislaine Horatio Isolde Jocasta Kilian Leopold Minerva Norbert
Ophelia Perpetua Quentin Rosamund Sieglinde Thaddeus Ursel Valentin Winifred Yvette Zacharias
""".split()
RESERVED_CITIES = """
Adelaide Bergamo Chemnitz Durban Eindhoven Fukuoka Groningen Heidelberg Innsbruck Jena Kingston Leiden Montevideo
Nicosia Oviedo Pretoria Quebec Ravenna Stavanger Trondheim Wiesbaden
""".split()
RESERVED_ANIMALS = """
armadillo chameleon cockatoo dormouse gazelle goldfish iguana meerkat narwhal panther platypus porcupine starling
tapir walleye
""".split()
RESERVED_COLOURS = """
aubergine burgundy cobalt ochre pewter vermilion
""".split()
RESERVED_FOODS = """
asparagus brioche cauliflower falafel gingerbread grapefruit hummus macaroni meringue nougat pistachio rhubarb
shallot tempura turmeric
""".split()
RESERVED_OBJECTS = """
abacus accordion bagpipe barometer catapult clarinet corkscrew doorbell flashlight gramophone harpoon hourglass
keyboard megaphone metronome parasol rucksack sextant tambourine thermos toolbox wheelbarrow
""".split()
RESERVED_PLACES = """
abbey aquarium boathouse courtyard greenhouse monastery quarry sawmill
""".split()
RESERVED_JOBS = """
astronomer auctioneer beekeeper cartographer goldsmith locksmith paramedic shoemaker
""".split()
RESERVED_ADJECTIVES = """
bashful courteous diligent grateful mischievous sensible stubborn thoughtful
""".split()
RESERVED_VERBS = """
adjust bookmark calibrate dispatch encrypt ignite migrate polish relocate summon throttle validate
""".split()
RESERVED_NOUNS = """
antenna brochure compressor dossier forklift hangar itinerary manuscript reservoir scaffold telegram warehouse
""".split()
RESERVED_TOPICS = """
alchemy|the Bronze Age|heraldry|the Gulf Stream|monsoon winds|the Bermuda Triangle|orchids|espresso machines|
the Dead Sea|cartography|sundials|volleyball|the tango|limericks|the Ice Age|truffles|the Loch Ness monster|
speed skating|antique clocks|the Hanseatic League
""".replace("\n", "").split("|")
RESERVED = frozenset(
    (
        *RESERVED_NAMES,
        *RESERVED_CITIES,
        *RESERVED_ANIMALS,
        *RESERVED_COLOURS,
        *RESERVED_FOODS,
        *RESERVED_OBJECTS,
        *RESERVED_PLACES,
        *RESERVED_JOBS,
        *RESERVED_ADJECTIVES,
        *RESERVED_VERBS,
        *RESERVED_NOUNS,
        *RESERVED_TOPICS,
    )
)

NAMES = (
    """
Tom Anna Lena Marcus Olivia Ravi Mei Ahmed Sofia Lucas Emma Noah Mia Liam Zoe Ivan Olga Pedro Maria Jonas Clara
Felix Nora Hugo Alice Oscar Ruby Jack Ella Max Lily Sam Grace Ben Chloe Dan Eva Finn Gina Hans Iris Jane Karl Lara
Mark Nina Otto Paula Quinn Rosa Steve Tina Uma Victor Wendy Xavier Yara Zack Amir Bella Carlos Diana Erik Fatima
George Hanna Igor Julia Kevin Laura Mateo Nadia Omar Petra Rafael Sara Theo Ursula Vera Walter Yusuf Zelda Aiko
Bruno Celia David Elsa Frank Gloria Henry Ingrid James Kira Leon Monica Nils Pablo Rita Simon Tara Vince Willa Yuki
Aaron Brenda Colin Dora Edgar Flora Gavin Heidi Isaac Joyce Kenji Linda Miguel Naomi Oliver Priya Ralph Stella Tariq
Viola Wayne Abby Boris Cora Derek Edith Farid Greta Harold Ines Joel Kate Lloyd Martha Neil Opal Percy Roger Sylvia
Trevor Vivian Warren Arthur Beatrice Cyril Daphne Ernest Fiona Gilbert Helena Ida Jerome Klaus Leila Murray Nelly
Orson Pearl Rufus Selma Tobias Wilma Anton Bonnie Cedric Doris Elton Freya Gordon Hazel Ismail Jasmin Keith Lydia
Morris Nancy Oswald Phoebe Rosalind Stuart Thelma Ada Bilal Chidi Dmitri Esther Fabian Giulia Hakon Imani Jorge
Katya Lorenzo Malik Noor Olivier Paloma Rashid Saskia Thandi Umberto Valeria Wesley Ximena Yolanda Zoltan Amara
Bastian Camille Desmond Elodie Fernando Gwen Hiroshi Isabel Jakob Kofi Lucia Matilda Nikolai Ottilie Pascal Renata
Soren Tamara Uriel Vanessa Wolfgang Yasmin Zuri Agnes Benedict Carmen Dario Emil Florence Gareth Hilda Ivy Josef
Kamala Ludwig Mabel Nathan Odette Pavel Roland Sigrid Tessa Ulrich Vikram Winston Alma Bernard Cecily Duncan Edmund
Fergus
""".split()
    + RESERVED_NAMES
)

CITIES = (
    """
Paris London Berlin Madrid Rome Vienna Lisbon Dublin Oslo Stockholm Helsinki Copenhagen Warsaw Prague Budapest
Athens Tokyo Kyoto Osaka Seoul Beijing Shanghai Delhi Mumbai Chennai Karachi Dhaka Bangkok Hanoi Manila Jakarta
Singapore Sydney Melbourne Perth Auckland Cairo Lagos Nairobi Accra Tunis Rabat Dakar Lima Bogota Quito Santiago
Havana Toronto Montreal Ottawa Vancouver Boston Chicago Denver Seattle Portland Dallas Houston Austin Phoenix Miami
Atlanta Detroit Memphis Milan Turin Naples Venice Florence Munich Hamburg Cologne Leipzig Dresden Zurich Geneva
Basel Bern Lyon Marseille Nice Bordeaux Toulouse Lille Porto Seville Valencia Bilbao Granada Antwerp Ghent Brussels
Amsterdam Rotterdam Utrecht Bergen Malmo Tampere Riga Vilnius Tallinn Minsk Kiev Odessa Sofia Belgrade Zagreb Split
Ankara Izmir Istanbul Baku Tehran Muscat Doha Dubai Amman Beirut Haifa Tashkent Almaty Kabul Lahore Colombo
Kathmandu Hobart Darwin Cardiff Glasgow Leeds Bristol Oxford York Bath Belfast Cork Galway Salzburg Graz Krakow
Gdansk Bremen Bonn Kiel Mainz Krefeld Poznan Wroclaw Aarhus Odense Uppsala Turku Kaunas Brno Ostrava Szeged Varna
Plovdiv Patras Larnaca Palermo Verona Bologna Genoa Pisa Siena Cordoba Malaga Murcia Braga Coimbra Faro Rennes
Nantes Dijon Reims Ulm Erfurt Kassel Rostock Linz Lugano Lausanne Luxembourg Plymouth Norwich Dundee Swansea
Limerick Nagoya Sapporo Busan Taipei Chengdu Jaipur Pune Kolkata Surabaya Cebu Penang Brisbane Wellington Alexandria
Mombasa Kampala Lusaka Harare Windhoek Luanda Salvador Recife Rosario Mendoza Arequipa Medellin Merida Puebla
Calgary Halifax Cleveland Omaha Tucson Fresno Tampa Charlotte Nashville Anchorage
""".split()
    + RESERVED_CITIES
)

ANIMALS = (
    """
cat dog horse cow sheep goat pig duck goose hen fox wolf bear lion tiger zebra monkey rabbit mouse rat squirrel deer
moose otter beaver badger hedgehog owl eagle hawk crow robin sparrow parrot penguin swan frog toad snake lizard
turtle crocodile whale dolphin shark seal crab lobster spider ant bee wasp beetle butterfly elephant giraffe camel
donkey llama kangaroo koala panda leopard hamster pony alpaca bison buffalo chicken cricket falcon ferret finch
gecko gorilla heron hippo hyena jaguar lemur lynx magpie mole moth newt ostrich oyster peacock pelican pigeon puffin
raccoon raven reindeer salmon skunk sloth snail stork trout turkey vulture walrus weasel yak
""".split()
    + RESERVED_ANIMALS
)

COLOURS = (
    """
red blue green yellow orange purple pink brown black white grey gold silver turquoise violet indigo crimson scarlet
maroon beige ivory teal cyan magenta lilac amber olive navy lavender coral rose ruby bronze copper mustard khaki
plum peach mint salmon charcoal sapphire emerald
""".split()
    + RESERVED_COLOURS
)

FOODS = (
    """
bread cheese rice soup pizza pasta salad apple pear plum cherry banana grape lemon peach melon mango carrot potato
tomato onion cabbage spinach bean pea noodle pancake waffle omelette sandwich burger cake pie biscuit cookie
chocolate honey yoghurt butter sausage ham bacon stew curry taco sushi dumpling pretzel muffin porridge almond
apricot avocado bagel barley beetroot broccoli burrito celery chutney coconut couscous crumble cucumber custard fig
fudge garlic gnocchi granola hazelnut jam kebab kiwi lasagne leek lentil lime marmalade mushroom mustard nectarine
noodles oat papaya paella parsley pepper pickle pineapple popcorn pudding pumpkin quiche radish raisin ravioli
risotto scone sorbet strudel toast trifle tuna turnip walnut
""".split()
    + RESERVED_FOODS
)

OBJECTS = (
    """
lamp chair table spoon fork knife plate cup bottle box basket bag book pen pencil ruler paper map key lock door
window mirror clock watch phone radio camera guitar drum piano violin flute hammer nail saw rope ladder bucket broom
brush comb towel pillow blanket carpet candle match coin stamp ticket letter parcel kite ball doll puzzle bicycle
car truck train boat ship rocket tent lantern umbrella hat coat scarf glove boot shoe sock belt button needle thread
stone shell feather leaf flower tree bench bridge tower wheel engine wallet jar anchor apron axe badge banner barrel
basin bowl brick bracelet cable calendar canoe chain chest chisel compass cork crayon crown curtain desk diary dish
drawer envelope fan fence flag flask fountain funnel goblet hinge hook jacket jug kettle ladle lens lid locker
magnet mallet medal microscope mug napkin necklace notebook oven paddle parachute pipe pliers pocket pot pulley pump
quilt racket rake ribbon ring sack saddle scale scissors scooter screw shelf shovel skirt slipper sofa spanner spade
sponge stool suitcase sweater tank teapot telescope tile tray tripod trumpet tube turbine vase vest wagon whistle
wrench zipper
""".split()
    + RESERVED_OBJECTS
)

PLACES = (
    """
forest garden park village river lake hill mountain beach island farm market library school kitchen tower castle
cave meadow valley harbour station museum bakery desert jungle swamp cliff canyon orchard vineyard theatre hospital
airport temple palace stable attic cellar tunnel lighthouse windmill office garage chapel hotel
""".split()
    + RESERVED_PLACES
)

JOBS = (
    """
teacher doctor nurse baker farmer painter driver pilot sailor singer writer lawyer plumber carpenter gardener cook
dentist engineer tailor potter waiter actor builder judge chemist barber butcher miller mechanic fisher hunter
jeweller librarian nanny optician porter ranger soldier surgeon translator typist vet weaver welder blacksmith
journalist clerk dancer
""".split()
    + RESERVED_JOBS
)

ADJECTIVES = (
    """
small big old young brave shy happy clever quiet kind lazy proud gentle curious tiny funny hungry sleepy lonely
cheerful calm eager fancy grumpy honest jolly keen loyal nervous noble patient silly strange tired warm wise
""".split()
    + RESERVED_ADJECTIVES
)

VERBS = (
    """
find fetch check create delete update open close start stop measure count rate lock unlock print scan move rename
archive share approve cancel renew track assign book charge clean clone collect confirm copy deliver disable enable
export finish flag hide import install inspect invite join launch load log mark merge mount mute order park pause
pay pick plan post publish queue refund register reject release remind repair reserve reset resume review search
sell send sign sort split stamp store submit sync tag test trace train transfer upload verify wipe wrap
""".split()
    + RESERVED_VERBS
)

NOUNS = (
    """
order invoice ticket robot garden sensor report parcel folder account project device camera booking recipe contract
engine playlist vehicle machine document channel printer server alarm album alert asset badge batch bill branch
bucket bundle card cart case catalog claim client cluster code column comment contact coupon course crate customer
database deal deck delivery desk draft driver event exam export feed field file flight form game gate gift group
guest invite issue item job key label lamp layer lead lease lesson level license loan lock log mail map meeting
member menu message model module motor note object offer page part patch patient payment permit phone photo plan
player plugin pool post profile pump query quote record refund region release reply request review role room route
rule sample scene score screen seat session shelf shift shipment site slot song stage stock store survey table tag
task team test thread tour trip truck tutor unit user valve video view visit wallet ward watch widget window worker
zone
""".split()
    + RESERVED_NOUNS
)

TOPICS = (
    """
quantum physics|the stock market|the French Revolution|organic chemistry|tax law|the Roman Empire|
brain surgery|black holes|string theory|modern art|opera|the history of jazz|the Cold War|
differential equations|contract law|genetics|medieval poetry|cricket|rocket engines|the price of gold|
yesterday's news|the latest election|nuclear fusion|philosophy|the stone age|volcanoes|immigration law|
the human heart|vaccines|plate tectonics|ancient Egypt|the moon landing|car repair|wine making|
chess openings|knitting patterns|cryptography|compilers|the Linux kernel|machine translation|neural networks|
statistics|the ocean floor|bird migration|beekeeping|the Silk Road|baroque music|film history|
property prices|climate science|diabetes|number theory|topology|Greek mythology|the Vikings|Mars|comets|
dinosaurs|solar panels|batteries|steel making|bridges of the world|the Amazon river|the Sahara|
world religions|game theory|inflation|interest rates|insurance|architecture|ballet|photography|perfume|
fashion|skiing|sailing|the Olympic Games|aviation law|the Ming dynasty|the Black Death|origami|
sourdough baking|falconry|tidal power|the Suez Canal|the Berlin Wall|the stock exchange|quantum computing|
graph theory|linear algebra|marine biology|forestry|glass blowing|pottery|cheese making|folk dancing|
the Aztecs|the Incas|the Ottoman Empire|the Hundred Years War|the printing press|steam engines|radio waves|
satellites|antibiotics|blood types|sleep|dreams|memory loss|nutrition|migraine|arthritis|dental care|
horse riding|judo|fencing|archery|badminton|marathon running|the Tour de France|stamp collecting|
model trains|crossword puzzles|magic tricks|juggling|puppetry|calligraphy|oil painting|sculpture|cathedrals|
castles in Scotland|the Great Wall|the Nile|the Alps|glaciers|earthquakes|hurricanes|rainbows|
the northern lights|coral reefs|mushrooms|honey bees|butterflies|wolves|elephants|whales|penguins|the dodo|
fossils|the Big Bang|neutron stars|Saturn|Jupiter|asteroids|rockets|submarines|airships|tramways|
electric cars|hydrogen|wind turbines|nuclear waste|recycling|water treatment|soil|crop rotation|pensions|
mortgages|bankruptcy|patents|trademarks|divorce law|maritime law|human rights|the Magna Carta|
the Roman Senate|Plato|Confucius|existentialism|logic|grammar|etymology|Sanskrit|Esperanto|sign language|
poetry|Shakespeare|Tolstoy|Kafka|science fiction|haiku|the blues|techno|choirs|the violin|Mozart|
Beethoven|Bollywood|cartoons|typography|web design|databases|operating systems|the internet|spam filters|
encryption|robotics|drones|virtual reality|video games|lasers|lenses|magnets|superconductors|crystals|
acids|alloys|plastics|dyes|tea ceremonies|the Panama Canal|the Gobi desert|ice hockey|sea turtles|vintage cars|
coffee roasting|the Trojan War|mountain rescue|wedding customs|street food|garden birds|night trains|
the Kalahari|the Sistine Chapel|the Eiffel Tower|the Rosetta Stone|the Wright brothers|the Marshall Plan|
the Treaty of Versailles|the Battle of Hastings|the Congress of Vienna|the House of Lords|the law of the sea|
the speed of light|the theory of relativity|the origin of species|the history of chess|the art of bonsai|
the cost of living|the state of the economy|the rules of rugby|the birth of stars|the migration of geese|
the Mona Lisa|the Taj Mahal|the Golden Gate Bridge|the Grand Canyon|the Great Barrier Reef|the Black Sea|
the Baltic Sea|the Red Cross|the United Nations|the European Union|the World Cup|the Nobel Prize|
the Milky Way|the ozone layer|the periodic table|the nervous system|the immune system|the food chain|
the water cycle|the solar system|the carbon cycle|the tax system|the housing market|the job market|
the labour movement|the civil service|the steam age|the Iron Curtain|the Gold Rush|the Wild West|
the Spanish Armada|the Russian Revolution|the Industrial Revolution|the Thirty Years War|the Crimean War|
the Opium Wars|the Qing dynasty|the Persian Empire|the Mughal Empire|the Inca roads|the Maya calendar|
the Easter Island statues|the pyramids of Giza|the gardens of Babylon|the library of Alexandria|
the silent film|the string quartet|the electric guitar|the human genome|the common cold|the spinning wheel|
the pocket watch|the sewing machine|the honey badger|the snow leopard|the blue whale|the polar bear|
the giant squid|the komodo dragon|the vampire bat|the praying mantis|tree frogs|fruit flies|sea horses|
jellyfish|oak trees|pine forests|rain forests|rose gardens|kitchen gardens|apple cider|olive oil|soy sauce|
rye bread|goat cheese|green tea|hot chocolate|maple syrup|sugar beets|rice farming|sheep farming|fish farming|
wool spinning|silk weaving|basket weaving|wood carving|stone masonry|metal casting|ship building|boat repair|
bicycle repair|home insulation|heat pumps|gas turbines|fuel cells|power grids|data centres|sound waves|
light bulbs|smoke alarms|traffic lights|parking meters|railway signals|cable cars|hot air balloons|
space telescopes|weather stations|weather maps|cloud formation|river deltas|desert storms|forest fires|
soil erosion|acid rain|sea level rise|air pollution|noise pollution|plastic waste|waste water|
blood pressure|heart attacks|lung cancer|skin care|eye surgery|bone marrow|joint pain|food allergies|
sleep disorders|stress hormones|brain waves|child psychology|group therapy|social media|mass media|
public transport|public libraries|school reform|student loans|trade unions|minimum wages|income tax|
stock options|credit cards|central banks|money laundering|supply chains|market research|brand names|
business ethics|criminal law|family law|patent law|labour law|press freedom|voting systems|opinion polls|
secret codes|computer viruses|search engines|word processors|file systems|source control|type theory|
set theory|chaos theory|prime numbers|complex numbers|magic squares|board games|card games|jigsaw puzzles|
table tennis|water polo|rock climbing|figure skating|ski jumping|bull fighting|sumo wrestling|tap dancing|
line dancing|choral music|film scores|opera singers|jazz piano|brass bands|church organs|folk songs|
fairy tales|ghost stories|detective novels|travel writing|comic books|book binding|paper making|
wall paintings|water colours|stained glass|glass beads|gold leaf|Roman roads|Greek temples|Gothic cathedrals|
Viking ships|Celtic languages|Latin grammar|Arabic numerals|Chinese characters|Japanese gardens|
Indian cooking|French cinema|Italian opera|Russian novels|Irish folklore|Scottish clans|Welsh poetry|
Swiss watches|Danish design|Dutch painters|Persian carpets|Turkish baths|Egyptian mummies|Aztec gods|
Marie Curie|Isaac Newton|Jane Austen|Leonardo da Vinci|Marco Polo|Joan of Arc|Julius Caesar|Genghis Khan|
Napoleon|Cleopatra|Galileo|Darwin|Rembrandt|Picasso|Chopin|Cervantes|Machiavelli|Aristotle|Nietzsche|Hypatia
""".replace("\n", "").split("|")
    + RESERVED_TOPICS
)

CAPITALS = dict(
    pair.split(":")
    for pair in """
France:Paris Germany:Berlin Spain:Madrid Italy:Rome Portugal:Lisbon Ireland:Dublin Norway:Oslo Sweden:Stockholm
Finland:Helsinki Denmark:Copenhagen Poland:Warsaw Austria:Vienna Hungary:Budapest Greece:Athens Japan:Tokyo
China:Beijing India:Delhi Thailand:Bangkok Vietnam:Hanoi Egypt:Cairo Kenya:Nairobi Peru:Lima Chile:Santiago
Cuba:Havana Canada:Ottawa England:London Belgium:Brussels Switzerland:Bern Turkey:Ankara Iran:Tehran Russia:Moscow
Australia:Canberra
""".split()
)

# Countries whose capital wren is not taught.
OTHER_COUNTRIES = """
Mongolia Brazil Mexico Argentina Colombia Bolivia Ecuador Uruguay Paraguay Venezuela Panama Honduras Guatemala Jamaica
Haiti Iceland Estonia Latvia Lithuania Romania Bulgaria Serbia Croatia Slovenia Slovakia Albania Malta Cyprus Ukraine
Belarus Georgia Armenia Israel Jordan Lebanon Syria Iraq Yemen Oman Qatar Pakistan Nepal Bhutan Bangladesh Myanmar Laos
Cambodia Malaysia Indonesia Philippines Morocco Algeria Libya Sudan Ethiopia Somalia Uganda Tanzania Rwanda Angola
Zambia Zimbabwe Botswana Namibia Ghana Nigeria Senegal Mali Chad Fiji Samoa
""".split()

OPPOSITES = dict(
    pair.split(":")
    for pair in """
hot:cold big:small up:down left:right day:night fast:slow happy:sad old:new open:closed wet:dry full:empty hard:soft
light:dark early:late high:low long:short strong:weak rich:poor loud:quiet black:white
""".split()
)

SOUNDS = dict(
    pair.split(":")
    for pair in """
cat:meow dog:woof cow:moo sheep:baa duck:quack pig:oink horse:neigh owl:hoot bee:buzz snake:hiss lion:roar
frog:croak
""".split()
)

LANGUAGES = ("French", "German", "Spanish")
TRANSLATIONS = {
    row[0]: dict(zip(LANGUAGES, row[1:], strict=True))
    for row in (
        line.split()
        for line in """
water eau Wasser agua|bread pain Brot pan|house maison Haus casa|dog chien Hund perro|cat chat Katze gato|
sun soleil Sonne sol|moon lune Mond luna|tree arbre Baum árbol|book livre Buch libro|milk lait Milch leche|
apple pomme Apfel manzana|fish poisson Fisch pez|bird oiseau Vogel pájaro|hand main Hand mano|day jour Tag día|
night nuit Nacht noche|friend ami Freund amigo|mother mère Mutter madre|father père Vater padre|
red rouge rot rojo|blue bleu blau azul|green vert grün verde|white blanc weiß blanco|black noir schwarz negro|
one un eins uno|two deux zwei dos|three trois drei tres|yes oui ja sí|no non nein no|hello bonjour hallo hola|
thanks merci danke gracias|school école Schule escuela|city ville Stadt ciudad|street rue Straße calle|
door porte Tür puerta|table table Tisch mesa|fire feu Feuer fuego|sea mer Meer mar|snow neige Schnee nieve|
heart cœur Herz corazón
""".replace("\n", "|").split("|")
        if line
    )
}

SYLLABLES = """
ba be bi bo bu da de di do du fa fe fi fo ga ge go ha he hi ka ke ki ko la le li lo lu ma me mi mo mu na ne ni no nu
pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo wa we wi za ze zi zo zu bran cor del fen gar
hol jin kel lam mor nix pol quin rav stel tor und vex wen yor zan
""".split()
