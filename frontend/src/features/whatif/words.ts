/** The English texts of these pages, in force once any of them is there. */
import { learn } from "@/words/say"
import { whatif } from "@/words/whatif"

learn({ whatif })
